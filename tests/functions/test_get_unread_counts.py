"""get_unread_counts: the number of a user's unread notifications, by type; for that user and for the service."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall import Session, World
from tests.functions.calls import NOT_YOUR_ID, about_oneself, about_the_customer, columns, unknown_or_null

pytestmark = pytest.mark.rolecall_from_phase(2)

Counts = list[tuple[Any, ...]]
ONE_OF_EACH: Counts = [("promotion", 1), ("reminder", 1)]

CUSTOMERS_COUNTS = about_the_customer(ONE_OF_EACH)
OWN_COUNTS = about_oneself(some=ONE_OF_EACH, none=[])


def counts(db: Session, user: str | None) -> Counts:
    return db.rows("SELECT * FROM communication.get_unread_counts(p_user_id => %s)", [user])


@pytest.mark.parametrize("name", CUSTOMERS_COUNTS)
def test_the_customers_counts_as(db: Session, customer: str, name: str) -> None:
    expected = CUSTOMERS_COUNTS[name]
    with db.acting_as(name, on="communication.notifications"):
        if isinstance(expected, list):
            assert counts(db, customer) == expected
        else:
            with db.raises("42501", message=expected):
                counts(db, customer)


@pytest.mark.parametrize("name", OWN_COUNTS)
def test_own_counts_as(db: Session, world: World, name: str) -> None:
    with db.reading_as(name):
        assert counts(db, world.personas[name].subject) == OWN_COUNTS[name]


@pytest.mark.parametrize("name", OWN_COUNTS)
def test_the_service_may_ask_for_any_user(db: Session, world: World, name: str) -> None:
    with db.reading_as("service"):
        assert counts(db, world.personas[name].subject) == OWN_COUNTS[name]


@unknown_or_null
def test_an_unknown_user_has_no_notifications(db: Session, user: str | None) -> None:
    with db.reading_as("service"):
        assert counts(db, user) == []


@pytest.mark.parametrize("name", ["customer", "no_subject"])
@unknown_or_null
def test_an_unknown_user_is_refused(db: Session, name: str, user: str | None) -> None:
    with db.reading_as(name), db.raises("42501", message=NOT_YOUR_ID):
        counts(db, user)


def test_types_with_unread_notifications_are_sorted(db: Session, world: World, customer: str) -> None:
    other = world.personas["other_customer"].subject
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


def test_notifications_without_a_type_come_last(db: Session, customer: str) -> None:
    db.execute("ALTER TABLE communication.notifications ALTER COLUMN notification_type DROP NOT NULL")
    db.execute("UPDATE communication.notifications SET notification_type = NULL WHERE notification_type = 'promotion'")
    with db.reading_as("customer"):
        assert counts(db, customer) == [("reminder", 1), (None, 1)]


def test_columns_and_their_types(db: Session, customer: str) -> None:
    with db.reading_as("customer"):
        cursor = db.execute("SELECT * FROM communication.get_unread_counts(%s)", [customer])
        assert columns(cursor) == [("notification_type", "varchar"), ("unread_count", "int8")]


def test_many_types_are_sorted(db: Session, customer: str) -> None:
    kinds = [f"kind {number:02}" for number in range(40)]
    db.execute("DELETE FROM communication.notifications")
    db.execute(
        """
        INSERT INTO communication.notifications (user_id, message, notification_type, created_at)
        SELECT %s, 'x', kind, now() FROM unnest(%s::text[]) AS kind ORDER BY md5(kind)
        """,
        [customer, kinds],
    )
    # Without a sort the planner groups by a hash, which leaves the groups in no order.
    db.execute("SET LOCAL enable_sort = off")
    with db.acting_as("customer"):
        assert counts(db, customer) == [(kind, 1) for kind in kinds]


def test_there_is_no_maximum_of_types(db: Session, customer: str) -> None:
    new = "INSERT INTO communication.notifications (user_id, notification_type) SELECT %s, 'type ' || n"
    db.execute(f"{new} FROM generate_series(1, 150) AS n", [customer])
    with db.acting_as("customer", on="communication.notifications"):
        assert len(counts(db, customer)) == 152
