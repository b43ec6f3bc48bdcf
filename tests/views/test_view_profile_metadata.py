"""view_profile_metadata: the user's own profile with the parts of its metadata, of any JSON type."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from rolecall import Session, World

PROFILES = "identity.profiles"

OWN = (
    *("customer", "other_customer", "staff", "other_staff", "owner", "other_owner"),
    *("former_staff", "owner_on_staff", "staff_customer", "staff_of_both"),
)

VISIBLE: dict[str, set[str]] = {
    **{person: {person} for person in OWN},
    "no_subject": set(),
    "granted_anon": set(),
    "service": set(OWN),
}

# The mistaken grants of granted_anon.
MISTAKE = """
    GRANT USAGE ON SCHEMA identity TO anon;
    GRANT ALL ON identity.view_profile_metadata, identity.profiles TO anon
"""

# As text: a stored JSON null is not the NULL of a missing key.
METADATA = """
    SELECT preferences::text, tags::text, interests::text, social_links::text, account_status
    FROM identity.view_profile_metadata
"""


def store(db: Session, world: World, metadata: Any) -> None:
    """Set the metadata of the customer's profile, as the superuser."""
    customer = world.row(PROFILES, "customer")["id"]
    db.execute("UPDATE identity.profiles SET metadata = %s WHERE id = %s", [metadata, customer])


def test_every_persona_is_listed(world: World) -> None:
    assert {*VISIBLE, "anon"} == world.personas.keys()
    assert set(OWN) == world.rows[PROFILES].keys()


@pytest.mark.parametrize("persona", VISIBLE)
def test_shows_what_the_table_shows(persona: str, db: Session, world: World) -> None:
    if persona == "granted_anon":
        db.execute(MISTAKE)
    with db.reading_as(persona):
        view_rows = db.rows(
            """
            SELECT id::text, username, email, full_name, avatar_url, tags, account_status
            FROM identity.view_profile_metadata
            """
        )
        table_rows = db.rows("SELECT id::text FROM identity.profiles")
    expected = {world.row(PROFILES, person)["id"]: world.row(PROFILES, person) for person in VISIBLE[persona]}
    assert sorted(table_rows) == sorted((key,) for key in expected)
    assert sorted(view_rows) == sorted(
        (
            *(key, row["username"], row["email"], row["full_name"], row["avatar_url"]),
            *(row["metadata"]["tags"], row["metadata"].get("status", "active")),
        )
        for key, row in expected.items()
    )


def test_anon_is_refused(db: Session) -> None:
    db.execute("GRANT USAGE ON SCHEMA identity TO anon")  # then it is the view that refuses
    with db.reading_as("anon"), db.raises("42501", message="permission denied for view view_profile_metadata"):
        db.rows("SELECT id FROM identity.view_profile_metadata")


WRITES = (
    "UPDATE identity.view_profile_metadata SET full_name = 'Changed'",
    "DELETE FROM identity.view_profile_metadata",
    "INSERT INTO identity.view_profile_metadata (id, username) VALUES (gen_random_uuid(), 'new')",
)


@pytest.mark.parametrize("statement", WRITES, ids=lambda statement: statement.split()[0].lower())
def test_anon_with_every_grant_writes_nothing(db: Session, world: World, statement: str) -> None:
    db.execute(MISTAKE)
    refusals = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectNotInPrerequisiteState)  # not updatable
    with db.acting_as("granted_anon"), suppress(*refusals), db.connection.transaction():
        db.execute(statement)
    names = db.rows("SELECT full_name FROM identity.profiles")
    assert sorted(names) == sorted((row["full_name"],) for row in world.rows[PROFILES].values())


def test_every_column_is_the_stored_value(db: Session) -> None:
    key = UUID("00000000-0000-4000-8000-000000000042")
    created, updated = (datetime(2024, 3, day, 9, 30, tzinfo=UTC) for day in (1, 2))
    metadata = {
        "preferences": {"booking": {"auto_confirm": True}},
        "tags": ["regular", "early bird"],
        "interests": ["colour"],
        "social_links": {"blog": "https://example.org/somebody"},
        "status": "suspended",
        "further": "not shown",
    }
    db.execute(
        """
        INSERT INTO identity.profiles (id, username, email, full_name, avatar_url, metadata, created_at, updated_at)
        VALUES (%s, 'somebody', 'somebody@example.org', 'Some Body', 'https://example.org/face.png', %s, %s, %s)
        """,
        [key, Jsonb(metadata), created, updated],
    )
    with db.reading_as("service"):
        row = db.row("SELECT * FROM identity.view_profile_metadata WHERE id = %s", [key])
    assert row == (
        *(key, "somebody", "somebody@example.org", "Some Body", "https://example.org/face.png", created, updated),
        metadata["preferences"],
        *(["regular", "early bird"], ["colour"], {"blog": "https://example.org/somebody"}, "suspended"),
    )


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param(None, id="no metadata"),
        pytest.param(Jsonb(None), id="JSON null"),
        pytest.param(Jsonb({}), id="empty object"),
        pytest.param(Jsonb({"further": {"tags": ["deeper down"], "status": "suspended"}}), id="other keys"),
        pytest.param(Jsonb([]), id="empty array"),
        pytest.param(Jsonb(["preferences", "tags", "interests", "social_links", "status"]), id="array of the names"),
        pytest.param(Jsonb("status"), id="text"),
        pytest.param(Jsonb(5), id="number"),
        pytest.param(Jsonb(True), id="boolean"),
    ],
)
def test_missing_parts_are_null_and_the_status_is_active(metadata: Any, db: Session, world: World) -> None:
    store(db, world, metadata)
    with db.reading_as("customer"):
        assert db.row(METADATA) == (None, None, None, None, "active")


@pytest.mark.parametrize("name", ["preferences", "tags", "interests", "social_links"])
@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param({"a": 1}, '{"a": 1}', id="object"),
        pytest.param(["a", 1], '["a", 1]', id="array"),
        pytest.param("a", '"a"', id="text"),
        pytest.param(1.5, "1.5", id="number"),
        pytest.param(False, "false", id="boolean"),
        pytest.param(None, "null", id="JSON null"),
    ],
)
def test_each_part_is_shown_as_stored(name: str, value: Any, text: str, db: Session, world: World) -> None:
    store(db, world, Jsonb({name: value}))
    parts = {"preferences": None, "tags": None, "interests": None, "social_links": None, name: text}
    with db.reading_as("customer"):
        assert db.row(METADATA) == (*parts.values(), "active")


@pytest.mark.parametrize(
    ("status", "text"),
    [
        pytest.param("suspended", "suspended", id="suspended"),
        pytest.param("active", "active", id="active"),
        pytest.param("", "", id="empty text"),
        pytest.param(5, "5", id="number"),
        pytest.param(False, "false", id="boolean"),
        pytest.param(["a", 1], '["a", 1]', id="array"),
        pytest.param(None, "active", id="JSON null"),
    ],
)
def test_the_stored_status_is_shown_as_text(status: Any, text: str, db: Session, world: World) -> None:
    store(db, world, Jsonb({"status": status}))
    with db.reading_as("customer"):
        assert db.row(METADATA) == (None, None, None, None, text)
