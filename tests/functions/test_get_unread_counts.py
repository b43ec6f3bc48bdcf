"""get_unread_counts: how many of one's own notifications are unread, by type; the service may ask for anyone."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall import Session, World

NOT_ONES_OWN = "p_user_id must be your own id"
NOT_ALLOWED = "permission denied"
NOBODY = "00000000-0000-0000-0000-000000000000"

Counts = list[tuple[Any, ...]]
ONE_OF_EACH: Counts = [("promotion", 1), ("reminder", 1)]

# What comes of asking for the customer's: the counts, or why it is refused.
CUSTOMERS_COUNTS: dict[str, Counts | str] = {
    "customer": ONE_OF_EACH,
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
    "service": ONE_OF_EACH,
}

# What everybody with a profile is told about oneself.
OWN_COUNTS: dict[str, Counts] = {
    "customer": ONE_OF_EACH,
    "other_customer": ONE_OF_EACH,
    "staff": ONE_OF_EACH,
    "other_staff": [],
    "owner": ONE_OF_EACH,
    "other_owner": [],
    "former_staff": [],
    "owner_on_staff": [],
    "staff_customer": [],
}


def subject(world: World, name: str) -> str:
    return world.personas[name].subject


def counts(db: Session, user: str | None) -> Counts:
    return db.rows("SELECT * FROM communication.get_unread_counts(p_user_id => %s)", [user])


def test_no_persona_is_left_out(world: World) -> None:
    assert CUSTOMERS_COUNTS.keys() == world.personas.keys()
    assert OWN_COUNTS.keys() == {name for name, persona in world.personas.items() if "sub" in persona.claims}


@pytest.mark.parametrize("name", CUSTOMERS_COUNTS)
def test_the_customers_counts_as(db: Session, world: World, name: str) -> None:
    expected = CUSTOMERS_COUNTS[name]
    with db.acting_as(name, on="communication.notifications"):
        if isinstance(expected, list):
            assert counts(db, subject(world, "customer")) == expected
        else:
            with db.raises("42501", message=expected):
                counts(db, subject(world, "customer"))


@pytest.mark.parametrize("name", OWN_COUNTS)
def test_ones_own_counts_as(db: Session, world: World, name: str) -> None:
    with db.reading_as(name):
        assert counts(db, subject(world, name)) == OWN_COUNTS[name]


@pytest.mark.parametrize("name", OWN_COUNTS)
def test_the_service_is_told_anybodys(db: Session, world: World, name: str) -> None:
    with db.reading_as("service"):
        assert counts(db, subject(world, name)) == OWN_COUNTS[name]


@pytest.mark.parametrize("user", [pytest.param(NOBODY, id="an unknown id"), pytest.param(None, id="NULL")])
def test_nobody_has_no_notifications(db: Session, user: str | None) -> None:
    with db.reading_as("service"):
        assert counts(db, user) == []


@pytest.mark.parametrize("name", ["customer", "no_subject"])
@pytest.mark.parametrize("user", [pytest.param(NOBODY, id="an unknown id"), pytest.param(None, id="NULL")])
def test_nobody_is_not_oneself(db: Session, name: str, user: str | None) -> None:
    with db.reading_as(name), db.raises("42501", message=NOT_ONES_OWN):
        counts(db, user)


def test_types_come_in_order_without_those_that_are_all_read(db: Session, world: World) -> None:
    customer, other = subject(world, "customer"), subject(world, "other_customer")
    db.execute("DELETE FROM communication.notifications")
    db.execute(
        """
        INSERT INTO communication.notifications (user_id, message, notification_type, read_at)
        VALUES (%(customer)s, 'first', 'reminder', NULL),
               (%(customer)s, 'second', 'cancellation', NULL),
               (%(customer)s, 'third', 'reminder', NULL),
               (%(customer)s, 'fourth', 'reminder', now()),
               (%(customer)s, 'fifth', 'all read', now()),
               (%(other)s, 'of another', 'reminder', NULL),
               (%(other)s, 'of another', 'of another', NULL)
        """,
        {"customer": customer, "other": other},
    )
    with db.reading_as("customer"):
        assert counts(db, customer) == [("cancellation", 1), ("reminder", 2)]


def test_those_without_a_type_are_counted_last(db: Session, world: World) -> None:
    customer = subject(world, "customer")
    db.execute("ALTER TABLE communication.notifications ALTER COLUMN notification_type DROP NOT NULL")
    db.execute("UPDATE communication.notifications SET notification_type = NULL WHERE notification_type = 'promotion'")
    with db.reading_as("customer"):
        assert counts(db, customer) == [("reminder", 1), (None, 1)]


def test_columns_and_their_types(db: Session, world: World) -> None:
    with db.reading_as("customer"):
        cursor = db.execute("SELECT * FROM communication.get_unread_counts(%s)", [subject(world, "customer")])
        assert [(column.name, column.type_display) for column in cursor.description or ()] == [
            ("notification_type", "varchar"),
            ("unread_count", "int8"),
        ]


def test_many_types_come_in_their_order(db: Session, world: World) -> None:
    customer, kinds = subject(world, "customer"), [f"kind {number:02}" for number in range(40)]
    db.execute("DELETE FROM communication.notifications")
    db.execute(
        """
        INSERT INTO communication.notifications (user_id, message, notification_type, created_at)
        SELECT %s, 'x', kind, now() FROM unnest(%s::text[]) AS kind ORDER BY md5(kind)
        """,
        [customer, kinds],
    )
    # Whatever the planner groups by: a hash gives no order of its own.
    db.execute("SET LOCAL enable_sort = off")
    with db.acting_as("customer"):
        assert counts(db, customer) == [(kind, 1) for kind in kinds]
