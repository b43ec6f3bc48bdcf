"""calculate_duration_minutes: the total duration of the listed active services, in whole minutes."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall import Session, World
from tests.functions.calls import MAY_CALL, UNKNOWN, columns

pytestmark = pytest.mark.rolecall_from_phase(2)


def duration(db: Session, services: list[str | None] | None) -> Any:
    return db.value("SELECT catalog.calculate_duration_minutes(p_service_ids => %s::uuid[])", [services])


def haircut(world: World, salon: str = "salon") -> str:
    """The id of a service of 45 minutes."""
    return str(world.row("catalog.services", f"{salon}'s haircut")["id"])


def insert_services(
    db: Session, world: World, *durations: str | None, is_active: bool | None = True
) -> list[str | None]:
    """Insert services of these durations; returns their ids."""
    for column in ("duration_range", "is_active"):
        db.execute(f"ALTER TABLE catalog.services ALTER COLUMN {column} DROP NOT NULL")
    salon = world.row("organization.salons", "salon")["id"]
    return [
        db.value(
            """
            INSERT INTO catalog.services (salon_id, name, duration_range, is_active)
            VALUES (%s, 'A service', %s, %s) RETURNING id::text
            """,
            [salon, each, is_active],
        )
        for each in durations
    ]


@pytest.mark.parametrize("name", MAY_CALL)
def test_services_of_two_salons_as(db: Session, world: World, name: str) -> None:
    with db.acting_as(name, on="catalog.services"):
        if MAY_CALL[name]:
            assert duration(db, [haircut(world), haircut(world, "other_salon")]) == 90
        else:
            with db.raises("42501", message="permission denied for function calculate_duration_minutes"):
                duration(db, [haircut(world)])


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        pytest.param("45 minutes", 45, id="minutes"),
        pytest.param("2 hours 5 minutes", 125, id="hours"),
        pytest.param("100 hours", 6000, id="more hours than a day has"),
        pytest.param("1 day", 1440, id="a day"),
        pytest.param("1 day 2 hours", 1560, id="a day and two hours"),
        pytest.param("1 day -1 hour", 1380, id="a day but an hour"),
        pytest.param("1 week", 10_080, id="a week"),
        pytest.param("1 month", 43_200, id="a month: thirty days"),
        pytest.param("1 year", 525_960, id="a year: 365.25 days"),
        pytest.param("0", 0, id="no time"),
        pytest.param("59.999999 seconds", 0, id="just short of a minute"),
        pytest.param("60 seconds", 1, id="sixty seconds"),
        pytest.param("119 seconds", 1, id="a started minute does not count"),
        pytest.param("-1 hour", 0, id="negative"),
        pytest.param("-1 second", 0, id="just negative"),
        pytest.param(None, 0, id="NULL"),
    ],
)
def test_one_service(db: Session, world: World, length: str | None, expected: int) -> None:
    services = insert_services(db, world, length)
    with db.reading_as("customer"):
        assert duration(db, services) == expected


@pytest.mark.parametrize(
    ("durations", "expected"),
    [
        pytest.param(["45 minutes", "1 day 2 hours"], 1605, id="minutes and days"),
        pytest.param(["30 seconds", "30 seconds"], 1, id="seconds add up"),
        pytest.param(["90 seconds", "89 seconds"], 2, id="only whole minutes of the total count"),
        pytest.param(["45 minutes", None], 45, id="NULL adds nothing"),
        pytest.param([None, None], 0, id="only NULL"),
        pytest.param(["45 minutes", "-30 minutes"], 45, id="negative takes nothing away"),
        pytest.param(["-45 minutes", "-30 minutes"], 0, id="only negative"),
    ],
)
def test_several_services(db: Session, world: World, durations: list[str | None], expected: int) -> None:
    services = insert_services(db, world, *durations)
    with db.reading_as("customer"):
        assert duration(db, services) == expected


@pytest.mark.parametrize("is_active", [False, None], ids=["inactive", "neither active nor not"])
def test_inactive_services_add_nothing(db: Session, world: World, is_active: bool | None) -> None:
    inactive = insert_services(db, world, "1 hour", is_active=is_active)
    with db.reading_as("customer"):
        assert duration(db, inactive) == 0
        assert duration(db, [*inactive, haircut(world)]) == 45


HAIRCUT = "the haircut"


@pytest.mark.parametrize(
    ("services", "expected"),
    [
        pytest.param(None, 0, id="NULL"),
        pytest.param([], 0, id="empty"),
        pytest.param([None], 0, id="only a NULL id"),
        pytest.param([UNKNOWN], 0, id="only an unknown id"),
        pytest.param([HAIRCUT], 45, id="one"),
        pytest.param([HAIRCUT, None], 45, id="one and a NULL id"),
        pytest.param([None, HAIRCUT], 45, id="a NULL id and one"),
        pytest.param([HAIRCUT, UNKNOWN], 45, id="one and an unknown id"),
        pytest.param([HAIRCUT, HAIRCUT], 45, id="one that is listed twice counts once"),
        pytest.param([HAIRCUT.upper(), HAIRCUT], 45, id="the same in capitals counts once"),
        pytest.param([UNKNOWN] * 10_000 + [HAIRCUT], 45, id="ten thousand unknown ids and one"),
    ],
)
def test_lists_of_ids(db: Session, world: World, services: list[str | None] | None, expected: int) -> None:
    key = haircut(world)
    keys = {HAIRCUT: key, HAIRCUT.upper(): key.upper()}
    with db.reading_as("customer"):
        assert duration(db, services and [keys.get(one or "", one) for one in services]) == expected


# ------------------------------------------------------------------ more than an integer holds


@pytest.mark.parametrize(
    "durations",
    [
        pytest.param(["35791394 hours 7 minutes"], id="one"),
        pytest.param(["35791394 hours 7 minutes 59 seconds"], id="with seconds"),
        pytest.param(["35791394 hours", "7 minutes"], id="two"),
    ],
)
def test_the_maximum_of_an_integer(db: Session, world: World, durations: list[str]) -> None:
    services = insert_services(db, world, *durations)
    with db.reading_as("customer"):
        assert duration(db, services) == 2_147_483_647


@pytest.mark.parametrize(
    "durations",
    [
        pytest.param(["35791394 hours 8 minutes"], id="a minute too many"),
        pytest.param(["35791394 hours 7 minutes", "1 minute"], id="a minute too many in two"),
        pytest.param(["178000000 years"], id="as long as an interval can be"),
        pytest.param(["178000000 years"] * 3, id="three as long as can be"),
    ],
)
def test_more_than_an_integer_is_an_error(db: Session, world: World, durations: list[str]) -> None:
    services = insert_services(db, world, *durations)
    with db.reading_as("customer"), db.raises("22003", message="integer out of range"):
        duration(db, services)


def test_too_long_services_matter_only_if_listed(db: Session, world: World) -> None:
    insert_services(db, world, "178000000 years")
    inactive = insert_services(db, world, "178000000 years", is_active=False)
    with db.reading_as("customer"):
        assert duration(db, [haircut(world), *inactive]) == 45


def test_the_result_is_an_integer(db: Session, world: World) -> None:
    with db.reading_as("customer"):
        cursor = db.execute("SELECT * FROM catalog.calculate_duration_minutes(ARRAY[%s]::uuid[])", [haircut(world)])
        assert columns(cursor) == [("calculate_duration_minutes", "int4")]


def test_sixty_services_without_length_take_no_minute(db: Session, world: World) -> None:
    assert duration(db, insert_services(db, world, *["0"] * 60)) == 0
