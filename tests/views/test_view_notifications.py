"""view_notifications: notifications with their recipient; the view shows no more than its two tables."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from rolecall import Session, World

NOTIFICATIONS = "communication.notifications"
PROFILES = "identity.profiles"


def notifications_of(person: str) -> set[str]:
    return {f"{person}'s reminder 0", f"{person}'s reminder 1", f"{person}'s promotion 2"}


NOBODYS = "nobody's reminder"

VISIBLE: dict[str, set[str]] = {
    "customer": notifications_of("customer"),
    "other_customer": notifications_of("other_customer"),
    "staff": notifications_of("staff"),
    "other_staff": set(),
    "owner": notifications_of("owner"),
    "other_owner": set(),
    "former_staff": set(),
    "owner_on_staff": set(),
    "staff_customer": set(),
    "staff_of_both": notifications_of("staff_of_both"),
    "no_subject": set(),
    "granted_anon": set(),
    "service": notifications_of("customer")
    | notifications_of("other_customer")
    | notifications_of("staff")
    | notifications_of("owner")
    | notifications_of("staff_of_both")
    | {NOBODYS},
}

# The mistaken grants of granted_anon.
MISTAKE = """
    GRANT USAGE ON SCHEMA communication, identity TO anon;
    GRANT ALL ON communication.view_notifications, communication.notifications, identity.profiles TO anon
"""


def recipient(world: World, person: str) -> tuple[Any, ...]:
    profile = world.row(PROFILES, person)
    return profile["username"], profile["email"], profile["avatar_url"]


def test_every_persona_is_listed(world: World) -> None:
    assert {*VISIBLE, "anon"} == world.personas.keys()


@pytest.mark.parametrize("persona", VISIBLE)
def test_shows_what_the_table_shows(persona: str, db: Session, world: World) -> None:
    expected = sorted(world.row(NOTIFICATIONS, name)["id"] for name in VISIBLE[persona])
    if persona == "granted_anon":
        db.execute(MISTAKE)
    with db.reading_as(persona):
        view_rows = db.rows("SELECT id::text FROM communication.view_notifications ORDER BY 1")
        table_rows = db.rows("SELECT id::text FROM communication.notifications ORDER BY 1")
    assert view_rows == table_rows == [(key,) for key in expected]


def test_anon_is_refused(db: Session) -> None:
    db.execute("GRANT USAGE ON SCHEMA communication TO anon")  # then it is the view that refuses
    with db.reading_as("anon"), db.raises("42501", message="permission denied for view view_notifications"):
        db.rows("SELECT id FROM communication.view_notifications")


@pytest.mark.parametrize("persona", ["customer", "service"])
def test_every_column_is_the_stored_value(persona: str, db: Session, world: World) -> None:
    customer = world.row(PROFILES, "customer")["id"]
    key = UUID("00000000-0000-4000-8000-000000000042")
    read, created, updated = (datetime(2024, 3, day, 9, 30, tzinfo=UTC) for day in (2, 1, 3))
    db.execute(
        """
        INSERT INTO communication.notifications
          (id, user_id, message, notification_type, metadata, read_at, created_at, updated_at)
        VALUES (%s, %s, 'Tomorrow at ten', 'reminder', %s, %s, %s, %s)
        """,
        [key, customer, Jsonb({"title": "Your haircut", "unread": 0}), read, created, updated],
    )
    with db.reading_as(persona):
        row = db.row("SELECT * FROM communication.view_notifications WHERE id = %s", [key])
    assert row == (
        *(key, UUID(customer), "Tomorrow at ten", "reminder", {"title": "Your haircut", "unread": 0}),
        *(read, created, updated),
        *recipient(world, "customer"),
    )


def test_read_at_of_an_unread_notification_is_null(db: Session, world: World) -> None:
    with db.reading_as("customer"):
        rows = db.rows("SELECT id::text, read_at FROM communication.view_notifications")
    assert dict(rows) == {
        world.row(NOTIFICATIONS, name)["id"]: world.row(NOTIFICATIONS, name)["read_at"] for name in VISIBLE["customer"]
    }
    assert [read for _, read in rows].count(None) == 2


def test_service_sees_every_recipient(db: Session, world: World) -> None:
    with db.reading_as("service"):
        rows = db.rows(
            """
            SELECT DISTINCT recipient_id::text, recipient_username, recipient_email, recipient_avatar
            FROM communication.view_notifications
            """
        )
    assert set(rows) == {
        *(
            (world.row(PROFILES, person)["id"], *recipient(world, person))
            for person in ("customer", "other_customer", "staff", "owner", "staff_of_both")
        ),
        (None, None, None, None),
    }


def test_a_hidden_recipient_is_null(db: Session, world: World) -> None:
    db.execute('CREATE POLICY "All read all" ON communication.notifications FOR SELECT TO authenticated USING (true)')
    with db.reading_as("customer"):
        rows = db.rows(
            """
            SELECT id::text, recipient_username, recipient_email, recipient_avatar
            FROM communication.view_notifications
            """
        )
    assert sorted(rows) == sorted(
        (world.row(NOTIFICATIONS, name)["id"], *columns)
        for person, columns in {
            "customer": recipient(world, "customer"),
            "other_customer": (None, None, None),
            "staff": (None, None, None),
            "owner": (None, None, None),
            "staff_of_both": (None, None, None),
            "nobody": (None, None, None),
        }.items()
        for name in (notifications_of(person) if person != "nobody" else [NOBODYS])
    )
