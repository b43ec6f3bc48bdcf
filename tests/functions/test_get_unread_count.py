"""get_unread_count: the number of a user's unread notifications; for that user and for the service."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall import Session, World
from tests.functions.calls import NOT_YOUR_ID, about_oneself, about_the_customer, columns, set_claims, unknown_or_null

pytestmark = pytest.mark.rolecall_from_phase(2)

CUSTOMERS_COUNT = about_the_customer(2)
OWN_COUNT = about_oneself(some=2, none=0)


def count(db: Session, user: str | None) -> Any:
    return db.value("SELECT communication.get_unread_count(p_user_id => %s)", [user])


@pytest.mark.parametrize("name", CUSTOMERS_COUNT)
def test_the_customers_count_as(db: Session, customer: str, name: str) -> None:
    expected = CUSTOMERS_COUNT[name]
    with db.acting_as(name, on="communication.notifications"):
        if isinstance(expected, int):
            assert count(db, customer) == expected
        else:
            with db.raises("42501", message=expected):
                count(db, customer)


@pytest.mark.parametrize("name", OWN_COUNT)
def test_own_count_as(db: Session, world: World, name: str) -> None:
    with db.reading_as(name):
        assert count(db, world.personas[name].subject) == OWN_COUNT[name]


@pytest.mark.parametrize("name", OWN_COUNT)
def test_the_service_may_ask_for_any_user(db: Session, world: World, name: str) -> None:
    with db.reading_as("service"):
        assert count(db, world.personas[name].subject) == OWN_COUNT[name]


@unknown_or_null
def test_an_unknown_user_has_no_notifications(db: Session, user: str | None) -> None:
    with db.reading_as("service"):
        assert count(db, user) == 0


@pytest.mark.parametrize("name", ["customer", "no_subject"])
@unknown_or_null
def test_an_unknown_user_is_refused(db: Session, name: str, user: str | None) -> None:
    with db.reading_as(name), db.raises("42501", message=NOT_YOUR_ID):
        count(db, user)


def test_a_session_without_claims_is_refused(db: Session, customer: str) -> None:
    """Also the session of a superuser: the settings are empty between two requests."""
    with db.raises("42501", message=NOT_YOUR_ID):
        count(db, customer)


def test_a_user_without_a_subject_is_not_the_service(db: Session, customer: str) -> None:
    with db.acting_as("customer"):
        set_claims(db, role="authenticated", sub=None)
        with db.raises("42501", message=NOT_YOUR_ID):
            count(db, customer)


def test_only_own_unread_notifications_count(db: Session, world: World, customer: str) -> None:
    other = world.personas["other_customer"].subject
    db.execute("DELETE FROM communication.notifications")
    db.execute(
        """
        INSERT INTO communication.notifications (user_id, message, notification_type, read_at)
        VALUES (%(customer)s, 'unread', 'reminder', NULL),
               (%(customer)s, 'read', 'reminder', now()),
               (%(customer)s, 'read in the future', 'reminder', 'infinity'),
               (%(other)s, 'unread by another', 'reminder', NULL)
        """,
        {"customer": customer, "other": other},
    )
    with db.reading_as("customer"):
        assert count(db, customer) == 1


def test_a_thousand_notifications_are_counted(db: Session, customer: str) -> None:
    db.execute(
        """
        INSERT INTO communication.notifications (user_id, message, notification_type)
        SELECT %s, 'one of many', 'reminder' FROM generate_series(1, 1000)
        """,
        [customer],
    )
    with db.reading_as("customer"):
        assert count(db, customer) == 1002


def test_the_count_is_a_bigint(db: Session, customer: str) -> None:
    with db.reading_as("customer"):
        cursor = db.execute("SELECT * FROM communication.get_unread_count(%s)", [customer])
        assert columns(cursor) == [("get_unread_count", "int8")]
