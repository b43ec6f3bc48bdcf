"""get_unread_count: how many of one's own notifications are unread; the service may ask for anyone."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall import Session, World

NOT_ONES_OWN = "p_user_id must be your own id"
NOT_ALLOWED = "permission denied"
NOBODY = "00000000-0000-0000-0000-000000000000"

# What comes of asking for the customer's: a number, or why it is refused.
CUSTOMERS_COUNT: dict[str, int | str] = {
    "customer": 2,
    "other_customer": NOT_ONES_OWN,
    "staff": NOT_ONES_OWN,
    "other_staff": NOT_ONES_OWN,
    "owner": NOT_ONES_OWN,
    "other_owner": NOT_ONES_OWN,
    "former_staff": NOT_ONES_OWN,
    "owner_on_staff": NOT_ONES_OWN,
    "staff_customer": NOT_ONES_OWN,
    "no_subject": NOT_ONES_OWN,
    "anon": NOT_ALLOWED,
    "granted_anon": NOT_ALLOWED,
    "service": 2,
}

# What everybody with a profile is told about oneself.
OWN_COUNT = {
    "customer": 2,
    "other_customer": 2,
    "staff": 2,
    "other_staff": 0,
    "owner": 2,
    "other_owner": 0,
    "former_staff": 0,
    "owner_on_staff": 0,
    "staff_customer": 0,
}


def subject(world: World, name: str) -> str:
    return world.personas[name].subject


def count(db: Session, user: str | None) -> Any:
    return db.value("SELECT communication.get_unread_count(p_user_id => %s)", [user])


def test_no_persona_is_left_out(world: World) -> None:
    assert CUSTOMERS_COUNT.keys() == world.personas.keys()
    assert OWN_COUNT.keys() == {name for name, persona in world.personas.items() if "sub" in persona.claims}


@pytest.mark.parametrize("name", CUSTOMERS_COUNT)
def test_the_customers_count_as(db: Session, world: World, name: str) -> None:
    expected = CUSTOMERS_COUNT[name]
    with db.acting_as(name, on="communication.notifications"):
        if isinstance(expected, int):
            assert count(db, subject(world, "customer")) == expected
        else:
            with db.raises("42501", message=expected):
                count(db, subject(world, "customer"))


@pytest.mark.parametrize("name", OWN_COUNT)
def test_ones_own_count_as(db: Session, world: World, name: str) -> None:
    with db.reading_as(name):
        assert count(db, subject(world, name)) == OWN_COUNT[name]


@pytest.mark.parametrize("name", OWN_COUNT)
def test_the_service_is_told_anybodys(db: Session, world: World, name: str) -> None:
    with db.reading_as("service"):
        assert count(db, subject(world, name)) == OWN_COUNT[name]


@pytest.mark.parametrize("user", [pytest.param(NOBODY, id="an unknown id"), pytest.param(None, id="NULL")])
def test_nobody_has_no_notifications(db: Session, user: str | None) -> None:
    with db.reading_as("service"):
        assert count(db, user) == 0


@pytest.mark.parametrize("name", ["customer", "no_subject"])
@pytest.mark.parametrize("user", [pytest.param(NOBODY, id="an unknown id"), pytest.param(None, id="NULL")])
def test_nobody_is_not_oneself(db: Session, name: str, user: str | None) -> None:
    with db.reading_as(name), db.raises("42501", message=NOT_ONES_OWN):
        count(db, user)


def test_a_session_without_claims_is_nobody(db: Session, world: World) -> None:
    """Not even a superuser's: the settings are empty between two requests."""
    with db.raises("42501", message=NOT_ONES_OWN):
        count(db, subject(world, "customer"))


def test_the_service_is_known_by_its_claims_and_not_by_a_subject(db: Session, world: World) -> None:
    with db.acting_as("customer"):
        db.execute("""SELECT set_config('request.jwt.claims', '{"role": "authenticated", "sub": null}', true)""")
        with db.raises("42501", message=NOT_ONES_OWN):
            count(db, subject(world, "customer"))


def test_only_unread_ones_count_and_only_ones_own(db: Session, world: World) -> None:
    customer, other = subject(world, "customer"), subject(world, "other_customer")
    db.execute("DELETE FROM communication.notifications")
    db.execute(
        """
        INSERT INTO communication.notifications (user_id, message, notification_type, read_at)
        VALUES (%(customer)s, 'unread', 'reminder', NULL),
               (%(customer)s, 'read', 'reminder', now()),
               (%(customer)s, 'read in times to come', 'reminder', 'infinity'),
               (%(other)s, 'unread by another', 'reminder', NULL)
        """,
        {"customer": customer, "other": other},
    )
    with db.reading_as("customer"):
        assert count(db, customer) == 1


def test_many_are_all_counted(db: Session, world: World) -> None:
    customer = subject(world, "customer")
    db.execute(
        """
        INSERT INTO communication.notifications (user_id, message, notification_type)
        SELECT %s, 'one of many', 'reminder' FROM generate_series(1, 1000)
        """,
        [customer],
    )
    with db.reading_as("customer"):
        assert count(db, customer) == 1002


def test_the_count_is_a_bigint(db: Session, world: World) -> None:
    with db.reading_as("customer"):
        cursor = db.execute("SELECT * FROM communication.get_unread_count(%s)", [subject(world, "customer")])
        assert [(column.name, column.type_display) for column in cursor.description or ()] == [
            ("get_unread_count", "int8")
        ]
