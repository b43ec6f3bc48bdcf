"""No function has a maximum of rows: each reads and writes twenty thousand more."""

from __future__ import annotations

import pytest

from rolecall import Session, World

MORE = 20_000


@pytest.fixture
def many(db: Session, customer: str) -> int:
    """The customer gets many unread notifications, each of a type of its own. The number of all unread ones."""
    db.execute(
        """
        INSERT INTO communication.notifications (user_id, message, notification_type, created_at)
        SELECT %s, 'Hello', 'type ' || number, now() - number * interval '1 hour' FROM generate_series(1, %s) AS number
        """,
        [customer, MORE],
    )
    return MORE + 2


def test_all_notifications_are_marked(db: Session, customer: str, many: int) -> None:
    with db.acting_as("customer"):
        assert db.value("SELECT communication.mark_notifications_read(%s)", [customer]) == many
    unread = "SELECT count(*) FROM communication.notifications WHERE user_id = %s AND read_at IS NULL"
    assert db.value(unread, [customer]) == 0


def test_all_listed_notifications_are_marked(db: Session, customer: str, many: int) -> None:
    ids = db.value("SELECT array_agg(id) FROM communication.notifications WHERE user_id = %s", [customer])
    with db.acting_as("customer"):
        assert db.value("SELECT communication.mark_notifications_read(%s, %s::uuid[])", [customer, ids]) == many


def test_all_notifications_are_counted(db: Session, customer: str, many: int) -> None:
    with db.acting_as("customer"):
        assert db.value("SELECT communication.get_unread_count(%s)", [customer]) == many


def test_all_types_are_counted(db: Session, customer: str, many: int) -> None:
    counts = "SELECT count(*), sum(unread_count) FROM communication.get_unread_counts(%s)"
    with db.acting_as("customer"):
        assert db.row(counts, [customer]) == (many, many)


def test_a_page_has_all_notifications_of_its_limit(db: Session, customer: str, many: int) -> None:
    page = "SELECT count(*) FROM communication.get_notifications_page(%s, p_limit => %s)"
    with db.acting_as("customer"):
        assert db.value(page, [customer, MORE]) == MORE
        assert db.value(page, [customer, None]) == many + 1  # and the one that is read


def test_all_services_are_added_up(db: Session, world: World) -> None:
    salon = world.row("organization.salons", "salon")["id"]
    ids = db.rows(
        """
        INSERT INTO catalog.services (salon_id, name, duration_range, is_active)
        SELECT %s, 'service ' || number, interval '1 minute', true FROM generate_series(1, %s) AS number
        RETURNING id
        """,
        [salon, MORE],
    )
    with db.acting_as("customer"):
        minutes = db.value("SELECT catalog.calculate_duration_minutes(%s::uuid[])", [[key for (key,) in ids]])
    assert minutes == MORE
