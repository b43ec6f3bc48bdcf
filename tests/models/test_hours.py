"""calculate_business_hours and calculate_duration_minutes answer as their models do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.models import hours as model
from tests.models.hours import DAY, MINUTE, SECOND, Hours, Interval, Service
from tests.models.lab import Caller, Columns, Lab, options, same
from tests.models.values import NOBODY, SALONS, Picker, callers, sessions, some_ids, tables

# ------------------------------------------------------------------ opening hours

HOURS = "scheduling.operating_hours"

# In microseconds since midnight: midnight, 24:00, and times that differ by a microsecond, a second or a minute.
TIMES = (
    *(0, 1, SECOND, MINUTE - 1, MINUTE, 30 * MINUTE, DAY // 2, DAY // 2 + MINUTE - 1, DAY // 2 + MINUTE),
    *(9 * 60 * MINUTE, 9 * 60 * MINUTE + 30 * SECOND, 18 * 60 * MINUTE, DAY - MINUTE, DAY - 1, DAY),
)
MONDAY = date(2025, 6, 2)
# The turn of the day differs by zone, and some zones have skipped a day: Apia Friday 2011-12-30, Kiritimati 1994-12-31.
DAYS = (
    *(MONDAY, MONDAY, MONDAY, date(2025, 6, 1), date(2025, 3, 30), date(2025, 3, 9), date(2025, 10, 26)),
    *(date(2024, 2, 29), date(2000, 2, 29), date(1900, 3, 1), date(2023, 12, 31), date(2024, 1, 1)),
    *(date(2011, 12, 30), date(2011, 12, 29), date(1994, 12, 31), date(1970, 1, 1), date(1, 1, 1), date(9999, 12, 31)),
)


def hours(weekday: int) -> Callable[[Picker], Hours]:
    """Opening hours, mostly those of a salon on this weekday."""
    usually = ([True], [True], [False, None])

    def row(pick: Picker) -> Hours:
        return Hours(
            id=pick.id(),
            salon_id=pick("salon_id", SALONS[:1], SALONS[:1], [SALONS[1], None]),
            day_of_week=pick("day", [weekday], [weekday], [(weekday + 1) % 7, (weekday + 6) % 7, weekday + 7, None]),
            is_open=pick("is_open", *usually),
            is_active=pick("is_active", *usually),
            start_time=pick("start_time", TIMES, TIMES, [None]),
            end_time=pick("end_time", TIMES, TIMES, [None]),
            break_start=pick("break_start", TIMES, TIMES, [None]),
            break_end=pick("break_end", TIMES, TIMES, [None]),
        )

    return row


def clock(microseconds: int | None) -> str | None:
    """A time as PostgreSQL reads it. Python has no 24:00."""
    if microseconds is None:
        return None
    seconds, rest = divmod(microseconds, SECOND)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:06}"


@pytest.fixture
def lab(lab: Lab) -> Lab:
    """No opening hours. Each of their columns may be NULL, and so may those of services."""
    lab.empty(HOURS)
    lab.let_anon_in("scheduling", "catalog")
    columns = ("salon_id", "day_of_week", "is_open", "is_active", "start_time", "end_time", "break_start", "break_end")
    lab.allow_null(HOURS, *columns)
    lab.allow_null("catalog.services", "salon_id", "duration_range", "is_active")
    return lab


QUERY = """
    SELECT day_name, is_open, extract(epoch FROM start_time) * 1000000, extract(epoch FROM end_time) * 1000000,
           extract(epoch FROM break_start) * 1000000, extract(epoch FROM break_end) * 1000000, total_working_minutes
    FROM scheduling.calculate_business_hours(%s, %s)
"""


@options(150)
@given(day=st.one_of(st.sampled_from(DAYS), st.dates()), data=st.data(), caller=callers(), setting=sessions)
def test_calculate_business_hours(lab: Lab, day: date, data: st.DataObject, caller: Caller, setting: Columns) -> None:
    table: list[Hours] = data.draw(tables(hours(day.isoweekday() % 7), (0, 1, 1, 2, 3, 5, 30)), "table")
    salon = data.draw(st.sampled_from((SALONS[0], SALONS[0], SALONS[0], SALONS[1], NOBODY, None)), "salon")
    endless = data.draw(st.sampled_from((None, None, None, None, None, "infinity", "-infinity", "NULL")), "endless")
    asked: date | str | None = None if endless == "NULL" else endless or day
    with lab.example(setting, {HOURS: [as_stored(each) for each in table]}):
        answer = lab.ask(caller, QUERY, [salon, asked])
    assert same(answer, model.calculate_business_hours(table, salon, None if endless else day, caller)), answer


def as_stored(row: Hours) -> dict[str, object]:
    texts = {
        name: clock(time)
        for name, time in zip(("start_time", "end_time", "break_start", "break_end"), row.times, strict=True)
    }
    return {**vars(row), **texts}


# ------------------------------------------------------------------ durations

MONTHS = (0, 0, 0, 0, 1, -1, 11, 12, -12, 13, -13, 25)
SOME_DAYS = (0, 0, 0, 1, -1, 30, -30, 366)
LENGTHS = (
    *(0, 1, -1, SECOND, 59 * SECOND, MINUTE - 1, MINUTE, -MINUTE, 90 * SECOND, 30 * SECOND, 45 * MINUTE),
    *(DAY - 1, DAY, -DAY, 25 * 60 * MINUTE, 100 * 60 * MINUTE),
)


def service(pick: Picker) -> Service:
    parts = pick("months", MONTHS), pick("days", SOME_DAYS), pick("length", LENGTHS)
    return Service(
        id=pick.id(),
        salon_id=pick("salon_id", SALONS, [None]),
        name=pick("name", ("Haircut", "haircut", "x" * 60)),
        duration_range=Interval(*parts) if pick("timed", [True], [True, False]) else None,
        is_active=pick("is_active", [True], [True], [False, None]),
    )


@options(100)
@given(table=tables(service), data=st.data(), caller=callers(), setting=sessions)
def test_calculate_duration_minutes(
    lab: Lab, table: list[Service], data: st.DataObject, caller: Caller, setting: Columns
) -> None:
    ids = data.draw(some_ids([s.id for s in table]), "ids")
    rows = [{**vars(s), "duration_range": written(s.duration_range)} for s in table]
    with lab.example(setting, {"catalog.services": rows}):
        answer = lab.ask(caller, "SELECT catalog.calculate_duration_minutes(%s::uuid[])", [ids])
    assert same(answer, model.calculate_duration_minutes(table, ids, caller)), answer


def written(interval: Interval | None) -> str | None:
    return None if interval is None else str(interval)
