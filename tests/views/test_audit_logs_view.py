"""audit_logs_view: entries with their actors, newest first. Name and address of an actor are visible only to those who
may read the profile."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from rolecall import Session, World

pytestmark = pytest.mark.rolecall_from_phase(3)

AUDIT = "audit.audit_logs"
PROFILES = "identity.profiles"

ACTORS = {"owner's entry": "owner", "customer's entry": "customer", "nobody's entry": None}
ALL = set(ACTORS)

# Every signed-in user reads all entries, as the plan has it (F44).
VISIBLE: dict[str, set[str]] = {
    "customer": ALL,
    "other_customer": ALL,
    "staff": ALL,
    "other_staff": ALL,
    "owner": ALL,
    "other_owner": ALL,
    "former_staff": ALL,
    "owner_on_staff": ALL,
    "staff_customer": ALL,
    "staff_of_both": ALL,
    "no_subject": set(),
    "granted_anon": set(),
    "service": ALL,
}

# The entries whose actor the persona may read. Every other persona may read no actor.
VISIBLE_ACTORS: dict[str, set[str]] = {
    "customer": {"customer's entry"},
    "owner": {"owner's entry"},
    "service": {"customer's entry", "owner's entry"},
}

# The mistaken grants of granted_anon.
MISTAKE = """
    GRANT USAGE ON SCHEMA audit, identity TO anon;
    GRANT ALL ON audit.audit_logs_view, audit.audit_logs, identity.profiles TO anon
"""


def actor(world: World, entry: str, persona: str) -> tuple[Any, ...]:
    """The name and the address of an entry's actor, NULL where the persona may not read them."""
    person = ACTORS[entry]
    if person is None or entry not in VISIBLE_ACTORS.get(persona, ()):
        return None, None
    profile = world.row(PROFILES, person)
    return profile["username"], profile["email"]


def test_every_persona_is_listed(world: World) -> None:
    assert {*VISIBLE, "anon"} == world.personas.keys()


@pytest.mark.parametrize("persona", VISIBLE)
def test_shows_what_the_tables_show(persona: str, db: Session, world: World) -> None:
    if persona == "granted_anon":
        db.execute(MISTAKE)
    with db.reading_as(persona):
        view_rows = db.rows("SELECT id::text, actor_username, actor_email FROM audit.audit_logs_view")
        table_rows = db.rows("SELECT id::text FROM audit.audit_logs")
    expected = {world.row(AUDIT, entry)["id"]: actor(world, entry, persona) for entry in VISIBLE[persona]}
    assert len(view_rows) == len(expected)
    assert set(view_rows) == {(key, *columns) for key, columns in expected.items()}
    assert sorted(table_rows) == sorted((key,) for key in expected)


def test_anon_is_refused(db: Session) -> None:
    db.execute("GRANT USAGE ON SCHEMA audit TO anon")  # then it is the view that refuses
    with db.reading_as("anon"), db.raises("42501", message="permission denied for view audit_logs_view"):
        db.rows("SELECT id FROM audit.audit_logs_view")


@pytest.mark.parametrize("persona", ["customer", "staff", "service"])
def test_every_column_is_the_stored_value(persona: str, db: Session, world: World) -> None:
    key, salon = UUID("00000000-0000-4000-8000-000000000042"), UUID("00000000-0000-4000-8000-000000000043")
    customer, created = world.row(PROFILES, "customer"), datetime(2024, 3, 1, 9, 30, tzinfo=UTC)
    db.execute(
        """
        INSERT INTO audit.audit_logs
          (id, entity_type, entity_id, action, actor_id, created_at, old_values, new_values,
           change_summary, reason, source_system, ip_address, user_agent, metadata)
        VALUES (%s, 'salon', %s, 'rename', %s, %s, %s, %s,
                'not shown', 'Sold', 'not shown', '192.0.2.1', 'not shown', '{"not": "shown"}')
        """,
        [key, salon, customer["id"], created, Jsonb({"name": "Before"}), Jsonb({"name": "After"})],
    )
    with db.reading_as(persona):
        row = db.row("SELECT * FROM audit.audit_logs_view WHERE id = %s", [key])
    assert row == (
        *(key, "salon", salon, "rename", UUID(customer["id"]), created, {"name": "Before"}, {"name": "After"}, "Sold"),
        *((None, None) if persona == "staff" else (customer["username"], customer["email"])),
    )


def test_an_entry_outlives_its_actor(db: Session, world: World) -> None:
    db.execute("DELETE FROM identity.profiles WHERE id = %s", [world.row(PROFILES, "customer")["id"]])
    with db.reading_as("service"):
        row = db.row(
            "SELECT actor_id, actor_username, actor_email FROM audit.audit_logs_view WHERE id = %s",
            [world.row(AUDIT, "customer's entry")["id"]],
        )
    assert row == (None, None, None)


@pytest.mark.parametrize("persona", ["customer", "service"])
def test_the_newest_entry_comes_first(persona: str, db: Session, world: World) -> None:
    stored: dict[str, datetime | None] = {row["id"]: row["created_at"] for row in world.rows[AUDIT].values()}
    times = {key: time for key, time in stored.items() if time}
    middle = min(times.values())
    # Inserted in an order that is neither ascending nor descending.
    for days in (2, -2000, 2000, 1, -2, -1):
        created = middle + timedelta(days=days)
        key = db.value(
            """
            INSERT INTO audit.audit_logs (entity_type, action, actor_id, created_at)
            VALUES ('salon', 'update', %s, %s)
            RETURNING id::text
            """,
            [world.row(PROFILES, "customer")["id"], created],
        )
        times[key] = created
    with db.reading_as(persona):
        entries = db.rows("SELECT id::text, created_at FROM audit.audit_logs_view")
    assert dict(entries) == stored | times
    # The entry without a time comes first.
    assert [created for _, created in entries] == [None, *sorted(times.values(), reverse=True)]
    assert len(entries) == 9
