"""calculate_business_hours and calculate_duration_minutes answer as their models do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.models import hours as model
from tests.models.hours import DAY, MINUTE, SECOND, Hours, Interval, Service
from tests.models.lab import Lab, options
from tests.models.terms import Caller, Columns, same
from tests.models.values import NOBODY, SALONS, Many, Picker, callers, sessions, some_ids, tables
from tests.models.words import words_of

# ------------------------------------------------------------------ opening hours

HOURS = "scheduling.operating_hours"

# In microseconds since midnight: midnight, 24:00, and times that differ by a microsecond, a second or a minute.
TIMES = (
    *(0, 1, SECOND, MINUTE - 1, MINUTE, 30 * MINUTE, DAY // 2, DAY // 2 + MINUTE - 1, DAY // 2 + MINUTE),
    *(
        9 * 60 * MINUTE,
        9 * 60 * MINUTE + 30 * SECOND,
        18 * 60 * MINUTE,
        DAY // 2 + 30 * SECOND,
        DAY - MINUTE,
        DAY - 1,
        DAY,
    ),
)
MONDAY = date(2025, 6, 2)
# The turn of the day differs by zone, and some zones have skipped a day: Apia Friday 2011-12-30, Kiritimati 1994-12-31.
# Berlin and St_Johns change their clocks.
DST_DAYS = (date(2025, 3, 30), date(2025, 10, 26), date(2025, 3, 9), date(2025, 11, 2))
DAYS = (
    *(MONDAY, MONDAY, MONDAY, date(2025, 6, 1)),
    *(date(2024, 2, 29), date(2000, 2, 29), date(1900, 3, 1), date(2023, 12, 31), date(2024, 1, 1)),
    *(date(2011, 12, 30), date(2011, 12, 29), date(1994, 12, 31), date(1970, 1, 1), date(1, 1, 1), date(9999, 12, 31)),
)


def hours(weekday: int) -> Callable[[Picker], Hours]:
    """Opening hours, mostly those of a salon on this weekday."""
    usually = ([True], [True], [False, None, None])

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


@st.composite
def days(draw: DrawFn) -> tuple[list[Hours], Any, date | str | None]:
    """Opening hours, a salon and a date, which may be none or infinite."""
    day = draw(st.one_of(st.sampled_from(DAYS), st.sampled_from(DST_DAYS), st.dates()))
    table = draw(tables(hours(day.isoweekday() % 7), (0, 1, 1, 2, 3, 5, 30)))
    salon = draw(st.sampled_from((*SALONS[:1] * 6, SALONS[1], NOBODY, None)))
    return table, salon, draw(st.sampled_from((*[day] * 9, "infinity", "-infinity", None)))


numbers = count(1)


def opened(**columns: Any) -> Hours:
    """Hours of a salon on Mondays, 9 to 18, for an explicit example."""
    plain = Hours(UUID(int=next(numbers)), SALONS[0], 1, True, True, 9 * 60 * MINUTE, 18 * 60 * MINUTE, None, None)
    return replace(plain, **columns)


NOON = DAY // 2
APIA, BERLIN = {"TimeZone": "Pacific/Apia"}, {"TimeZone": "Europe/Berlin"}
SPRING = date(2025, 3, 30)  # Berlin skips an hour


@options(120)
@given(asked=days(), caller=callers(), setting=sessions)
@example(([opened(start_time=NOON, end_time=NOON)], SALONS[0], MONDAY), Caller("customer"), {})  # < in place of <=
@example(([opened(break_start=NOON, break_end=NOON)], SALONS[0], MONDAY), Caller("customer"), {})  # <= in place of <
@example(([opened(start_time=1, end_time=DAY)], SALONS[0], MONDAY), Caller("customer"), {})  # round() of minutes
@example(([opened(break_start=NOON)], SALONS[0], MONDAY), Caller("customer"), {})  # without COALESCE: NULL minutes
@example(
    ([opened(end_time=DAY - 1, break_start=0, break_end=30 * SECOND)], SALONS[0], MONDAY), Caller("staff"), {}
)  # date_trunc
@example(([opened(is_open=None)], SALONS[0], MONDAY), Caller("customer"), {})  # WHEN oh.is_open IS NOT FALSE
@example(([opened(is_open=None), opened(is_open=False)], SALONS[0], MONDAY), Caller("customer"), {})  # NULLS FIRST
@example(([opened(salon_id=None)], SALONS[0], MONDAY), Caller("customer"), {})  # OR oh.salon_id IS NULL
@example(([opened(day_of_week=5)], SALONS[0], date(2011, 12, 30)), Caller("customer"), APIA)  # p_date::timestamptz
@example(([opened(day_of_week=0, start_time=0)], SALONS[0], SPRING), Caller("customer"), BERLIN)  # p_date + time
def test_calculate_business_hours(
    lab: Lab, asked: tuple[list[Hours], Any, date | str | None], caller: Caller, setting: Columns
) -> None:
    table, salon, day = asked
    with lab.example(setting, {HOURS: [as_stored(each) for each in table]}):
        answer = lab.ask(caller, QUERY, [salon, day])
    expected = model.calculate_business_hours(table, salon, day if isinstance(day, date) else None, caller)
    assert same(answer, expected), answer


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


@st.composite
def orders(draw: DrawFn) -> tuple[list[Service], list[UUID | None] | None]:
    """Services, and the ids of some of them."""
    table = draw(tables(service))
    return table, draw(some_ids([s.id for s in table]))


def lasting(number: int, **columns: Any) -> Service:
    """A service of 45 minutes, for an explicit example."""
    return replace(Service(UUID(int=number), SALONS[0], "Haircut", Interval(0, 0, 45 * MINUTE), True), **columns)


ONE, TWO = UUID(int=1), UUID(int=2)
HALF_A_MINUTE = Interval(0, 0, 30 * SECOND)


@options(100)
@given(order=orders(), caller=callers(), setting=sessions)
@example(([lasting(1), lasting(2)], [ONE, TWO]), Caller("customer"), {})  # sum(DISTINCT …)
@example(([lasting(1)], [ONE, ONE, None]), Caller("customer"), {})  # a join with the list: once for each mention
@example(([lasting(1, duration_range=HALF_A_MINUTE)], [ONE]), Caller("customer"), {})  # round() of the total
@example(([lasting(1, is_active=None)], [ONE]), Caller("customer"), {})  # is_active IS NOT FALSE
@example(([lasting(1, duration_range=Interval(12, 0, 0))], [ONE]), Caller("customer"), {})  # a year as 12 times 30 days
@example(([lasting(1, duration_range=Interval(0, -1, 0)), lasting(2)], [ONE, TWO]), Caller("customer"), {})  # -1 day
@example(
    ([lasting(n, duration_range=HALF_A_MINUTE) for n in range(150)], [UUID(int=n) for n in range(150)]),
    Caller("service"),
    {},
)  # whole minutes of each; the first 100 ids
def test_calculate_duration_minutes(
    lab: Lab, order: tuple[list[Service], list[UUID | None] | None], caller: Caller, setting: Columns
) -> None:
    check_duration(lab, *order, caller, setting)


def test_calculate_duration_minutes_with_the_words_of_its_code(lab: Lab) -> None:
    words = words_of(lab, "catalog.calculate_duration_minutes")
    table = Many(lasting(number, name=word) for number, word in enumerate(words))
    check_duration(lab, table, [s.id for s in table], Caller("customer"), {})


def check_duration(
    lab: Lab, table: list[Service], ids: list[UUID | None] | None, caller: Caller, setting: Columns
) -> None:
    """Ask for the minutes of services, and compare with the model."""
    rows = [{**vars(s), "duration_range": written(s.duration_range)} for s in table]
    with lab.example(setting, {"catalog.services": rows}):
        answer = lab.ask(caller, "SELECT catalog.calculate_duration_minutes(%s::uuid[])", [ids])
    assert same(answer, model.calculate_duration_minutes(table, ids, caller)), answer


def written(interval: Interval | None) -> str | None:
    return None if interval is None else str(interval)
