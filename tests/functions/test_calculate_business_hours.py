"""calculate_business_hours: the opening hours of a salon on a date, and their minutes without the break."""

from __future__ import annotations

from datetime import date, time
from itertools import permutations
from typing import Any

import pytest

from rolecall import Session, World
from tests.functions.calls import MAY_CALL, UNKNOWN, columns

pytestmark = pytest.mark.rolecall_from_phase(2)

WEEK = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")  # 0 to 6
MONDAY, TUESDAY = date(2025, 1, 6), date(2025, 1, 7)

Hours = dict[str, Any]
NINE_TO_SIX: Hours = {"start_time": "09:00", "end_time": "18:00"}


@pytest.fixture
def salon(world: World) -> str:
    return str(world.row("organization.salons", "salon")["id"])


@pytest.fixture
def no_hours(db: Session) -> None:
    """No salon has any hours until the test inserts some; each of their columns may be NULL."""
    db.execute("DELETE FROM scheduling.operating_hours")
    for column in ("is_open", "is_active", "start_time", "end_time", "break_start", "break_end"):
        db.execute(f"ALTER TABLE scheduling.operating_hours ALTER COLUMN {column} DROP NOT NULL")


def insert_hours(db: Session, salon: str, day: int = 1, **hours: Any) -> None:
    """Insert hours of a salon for a day of the week (default: Monday)."""
    row = {"salon_id": salon, "day_of_week": day, "is_open": True, "is_active": True, **hours}
    names, places = ", ".join(row), ", ".join(f"%({name})s" for name in row)
    db.execute(f"INSERT INTO scheduling.operating_hours ({names}) VALUES ({places})", row)


def hours(db: Session, salon: str | None, day: date | str | None = MONDAY) -> list[tuple[Any, ...]]:
    """The rows that the function returns to the customer."""
    with db.reading_as("customer"):
        return db.rows(
            "SELECT * FROM scheduling.calculate_business_hours(p_salon_id => %s, p_date => %s)", [salon, day]
        )


def minutes(db: Session, salon: str) -> Any:
    """The working minutes of a Monday. Raises AssertionError unless there is one row."""
    with db.reading_as("customer"):
        return db.value(
            "SELECT total_working_minutes FROM scheduling.calculate_business_hours(%s, %s)", [salon, MONDAY]
        )


@pytest.mark.parametrize("which", ["salon", "other_salon"])
@pytest.mark.parametrize("name", MAY_CALL)
def test_a_salons_mondays_as(db: Session, world: World, name: str, which: str) -> None:
    params = [world.row("organization.salons", which)["id"], MONDAY]
    query = "SELECT * FROM scheduling.calculate_business_hours(%s, %s)"
    with db.acting_as(name, on="scheduling.operating_hours"):
        if MAY_CALL[name]:
            assert db.rows(query, params) == [("Monday", True, time(9), time(18), time(12), time(13), 480)]
        else:
            with db.raises("42501", message="permission denied for function calculate_business_hours"):
                db.rows(query, params)


def test_columns_and_their_types(db: Session, salon: str) -> None:
    with db.reading_as("customer"):
        cursor = db.execute("SELECT * FROM scheduling.calculate_business_hours(%s, %s)", [salon, MONDAY])
        assert columns(cursor) == [
            ("day_name", "varchar"),
            ("is_open", "bool"),
            ("start_time", "time"),
            ("end_time", "time"),
            ("break_start", "time"),
            ("break_end", "time"),
            ("total_working_minutes", "int4"),
        ]


# ------------------------------------------------------------------ minutes


@pytest.mark.usefixtures("no_hours")
@pytest.mark.parametrize(
    ("times", "expected"),
    [
        pytest.param("09:00-18:00", 540, id="whole hours"),
        pytest.param("09:15-17:50", 515, id="hours and minutes"),
        pytest.param("09:00-09:01", 1, id="one minute"),
        pytest.param("00:00-24:00", 1440, id="midnight to 24:00"),
        pytest.param("10:00-24:00", 840, id="until 24:00"),
        pytest.param("18:00-00:00", 360, id="until midnight"),
        pytest.param("18:00-02:00", 480, id="past midnight"),
        pytest.param("23:59-00:01", 2, id="a minute around midnight"),
        pytest.param("09:00-08:59", 1439, id="end a minute before the start"),
        pytest.param("09:00-09:00", 1440, id="end equals start: a whole day"),
        pytest.param("00:00-00:00", 1440, id="midnight to midnight: a whole day"),
    ],
)
def test_without_a_break(db: Session, salon: str, times: str, expected: int) -> None:
    start, end = times.split("-")
    insert_hours(db, salon, start_time=start, end_time=end)
    assert minutes(db, salon) == expected


@pytest.mark.usefixtures("no_hours")
@pytest.mark.parametrize(
    ("times", "break_times", "expected"),
    [
        pytest.param("09:00-18:00", "12:00-13:00", 480, id="an hour"),
        pytest.param("09:00-18:00", "12:05-12:50", 495, id="minutes"),
        pytest.param("09:00-18:00", "12:00-12:00", 540, id="no length"),
        pytest.param("20:00-04:00", "23:30-00:30", 420, id="past midnight"),
        pytest.param("20:00-04:00", "23:30-00:00", 450, id="until midnight"),
        pytest.param("20:00-04:00", "01:00-01:30", 450, id="after midnight"),
        pytest.param("09:00-09:00", "13:00-12:00", 60, id="all day but an hour"),
        pytest.param("09:00-18:00", "09:00-17:59", 1, id="a minute shorter than the hours"),
        pytest.param("09:00-18:00", "09:00-18:00", 0, id="as long as the hours"),
        pytest.param("12:00-13:00", "09:00-18:00", 0, id="longer than the hours"),
        pytest.param("09:00-10:00", "23:00-01:00", 0, id="past midnight and longer than the hours"),
    ],
)
def test_with_a_break(db: Session, salon: str, times: str, break_times: str, expected: int) -> None:
    (start, end), (break_start, break_end) = times.split("-"), break_times.split("-")
    insert_hours(db, salon, start_time=start, end_time=end, break_start=break_start, break_end=break_end)
    assert minutes(db, salon) == expected


@pytest.mark.usefixtures("no_hours")
@pytest.mark.parametrize(
    "half", [{"break_start": time(12)}, {"break_end": time(13)}], ids=["without an end", "without a start"]
)
def test_half_a_break_is_no_break(db: Session, salon: str, half: Hours) -> None:
    insert_hours(db, salon, **NINE_TO_SIX, **half)
    break_times = half.get("break_start"), half.get("break_end")
    assert hours(db, salon) == [("Monday", True, time(9), time(18), *break_times, 540)]


@pytest.mark.usefixtures("no_hours")
@pytest.mark.parametrize(
    ("opening", "expected"),
    [
        pytest.param({"start_time": "09:00:00", "end_time": "09:00:59"}, 0, id="less than a minute"),
        pytest.param({"start_time": "09:00:30", "end_time": "10:00:00"}, 59, id="a started minute does not count"),
        pytest.param({"start_time": "09:00:30", "end_time": "10:00:30"}, 60, id="seconds on both sides"),
        pytest.param({"start_time": "09:00:00", "end_time": "10:00:59.999999"}, 60, id="just short of a minute"),
        pytest.param({**NINE_TO_SIX, "break_start": "12:00:00", "break_end": "12:00:30"}, 539, id="half a minute off"),
        pytest.param(
            {"start_time": "09:00:00", "end_time": "10:00:30", "break_start": "09:10:00", "break_end": "09:20:30"},
            50,
            id="seconds of hours and break together",
        ),
    ],
)
def test_only_whole_minutes_count(db: Session, salon: str, opening: Hours, expected: int) -> None:
    insert_hours(db, salon, **opening)
    assert minutes(db, salon) == expected


@pytest.mark.usefixtures("no_hours")
@pytest.mark.parametrize(
    "opening",
    [
        pytest.param({}, id="no times at all"),
        pytest.param({"start_time": "09:00"}, id="no end"),
        pytest.param({"end_time": "18:00"}, id="no start"),
        pytest.param({"break_start": "12:00", "break_end": "13:00"}, id="only a break"),
    ],
)
def test_open_without_hours_is_zero_minutes(db: Session, salon: str, opening: Hours) -> None:
    insert_hours(db, salon, **opening)
    assert minutes(db, salon) == 0


@pytest.mark.usefixtures("no_hours")
@pytest.mark.parametrize("is_open", [False, None], ids=["closed", "neither open nor closed"])
def test_closed_is_zero_minutes(db: Session, salon: str, is_open: bool | None) -> None:
    insert_hours(db, salon, is_open=is_open, **NINE_TO_SIX, break_start="12:00", break_end="13:00")
    assert hours(db, salon) == [("Monday", is_open, time(9), time(18), time(12), time(13), 0)]


# ------------------------------------------------------------------ days


@pytest.mark.usefixtures("no_hours")
@pytest.mark.parametrize("name", WEEK)
def test_each_weekday_has_its_own_hours(db: Session, salon: str, name: str) -> None:
    """0 is Sunday, and no name is padded with spaces. Each day the salon closes an hour later than the day before."""
    day = WEEK.index(name)
    for weekday in range(7):
        insert_hours(db, salon, weekday, start_time=time(12), end_time=time(13 + weekday))
    for month, first in ((1, 5), (6, 1)):  # two Sundays
        rows = hours(db, salon, date(2025, month, first + day))
        assert rows == [(name, True, time(12), time(13 + day), None, None, 60 * (1 + day))]


@pytest.mark.usefixtures("no_hours")
@pytest.mark.parametrize(
    ("day", "name"),
    [
        pytest.param("2024-02-29", "Thursday", id="a leap day"),
        pytest.param("2000-01-01", "Saturday", id="the turn of a century"),
        pytest.param("1969-12-31", "Wednesday", id="before the epoch"),
        pytest.param("4713-01-01 BC", "Thursday", id="long ago"),
        pytest.param("294276-12-31", "Sunday", id="the last date that is a timestamp"),
    ],
)
def test_distant_dates(db: Session, salon: str, day: str, name: str) -> None:
    for weekday in range(7):
        insert_hours(db, salon, weekday, **NINE_TO_SIX)
    assert hours(db, salon, day) == [(name, True, time(9), time(18), None, None, 540)]


@pytest.mark.usefixtures("no_hours")
def test_a_date_out_of_range_is_an_error(db: Session, salon: str) -> None:
    for weekday in range(7):
        insert_hours(db, salon, weekday, **NINE_TO_SIX)
    with db.raises("22008", message="date out of range for timestamp"):
        hours(db, salon, "294277-01-01")


@pytest.mark.usefixtures("no_hours")
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Apia", "America/Los_Angeles"])
def test_the_time_zone_does_not_change_the_weekday(db: Session, salon: str, zone: str) -> None:
    """Apia skipped 30 December 2011."""
    insert_hours(db, salon, 5, **NINE_TO_SIX)
    db.execute("SELECT set_config('TimeZone', %s, true)", [zone])
    assert [row[0] for row in hours(db, salon, date(2011, 12, 30))] == ["Friday"]


@pytest.mark.usefixtures("no_hours")
@pytest.mark.parametrize("day", [None, "infinity", "-infinity"], ids=["NULL", "infinity", "minus infinity"])
def test_a_date_without_a_weekday_has_no_row(db: Session, salon: str, day: str | None) -> None:
    for weekday in range(7):
        insert_hours(db, salon, weekday, **NINE_TO_SIX)
    assert hours(db, salon, day) == []


# ------------------------------------------------------------------ rows


@pytest.mark.parametrize("salon_id", [UNKNOWN, None], ids=["unknown", "NULL"])
def test_an_unknown_salon_has_no_row(db: Session, salon_id: str | None) -> None:
    assert hours(db, salon_id) == []


def test_a_day_without_hours_has_no_row(db: Session, salon: str) -> None:
    assert hours(db, salon, TUESDAY) == []


@pytest.mark.usefixtures("no_hours")
@pytest.mark.parametrize("is_active", [False, None], ids=["inactive", "neither active nor not"])
def test_inactive_hours_are_ignored(db: Session, salon: str, is_active: bool | None) -> None:
    insert_hours(db, salon, is_active=is_active, start_time="08:00", end_time="20:00")
    assert hours(db, salon) == []
    insert_hours(db, salon, **NINE_TO_SIX)
    assert hours(db, salon) == [("Monday", True, time(9), time(18), None, None, 540)]


@pytest.mark.usefixtures("no_hours")
def test_another_salons_hours_do_not_count(db: Session, world: World, salon: str) -> None:
    insert_hours(db, world.row("organization.salons", "other_salon")["id"], **NINE_TO_SIX)
    assert hours(db, salon) == []


@pytest.mark.usefixtures("no_hours")
@pytest.mark.parametrize(
    ("first", "other"),
    [
        pytest.param({"start_time": time(14)}, {"start_time": time(9), "is_open": False}, id="open before closed"),
        pytest.param({"start_time": time(14)}, {"start_time": time(9), "is_open": None}, id="open before neither"),
        pytest.param(
            {"start_time": time(14), "is_open": False}, {"start_time": time(9), "is_open": None}, id="closed, neither"
        ),
        pytest.param({"start_time": time(9)}, {"start_time": time(14)}, id="the earlier start"),
        pytest.param({"start_time": time(9)}, {"start_time": None}, id="a start before none"),
        pytest.param({"end_time": time(17)}, {"end_time": time(18)}, id="the earlier end"),
        pytest.param({"break_start": time(12)}, {"break_start": time(13)}, id="the earlier break"),
        pytest.param({"break_start": time(12)}, {}, id="a break before none"),
        pytest.param({"break_end": time(13)}, {"break_end": time(14)}, id="the shorter break"),
    ],
)
def test_two_rows_always_give_the_same_one(db: Session, salon: str, first: Hours, other: Hours) -> None:
    common = {"is_open": True, **NINE_TO_SIX}
    expected = {
        "break_start": None,
        "break_end": None,
        "start_time": time(9),
        "end_time": time(18),
        "is_open": True,
    } | first
    for order in permutations((first, other)):
        db.execute("DELETE FROM scheduling.operating_hours")
        for row in order:
            insert_hours(db, salon, **{**common, **row})
        rows = [row[1:-1] for row in hours(db, salon)]
        assert rows == [
            tuple(expected[name] for name in ("is_open", "start_time", "end_time", "break_start", "break_end"))
        ]


@pytest.mark.usefixtures("no_hours")
def test_many_rows_give_one(db: Session, salon: str) -> None:
    for start in (13, 11, 9, 15, 10):
        insert_hours(db, salon, start_time=time(start), end_time=time(18))
    assert hours(db, salon) == [("Monday", True, time(9), time(18), None, None, 540)]
