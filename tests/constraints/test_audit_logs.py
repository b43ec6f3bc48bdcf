"""What audit.audit_logs is made of, and what each of its constraints takes and refuses."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from psycopg import Cursor
from psycopg.rows import dict_row
from psycopg.sql import SQL

from rolecall import Session, World
from rolecall.access.world import insert

TABLE = "audit.audit_logs"
Valid = Callable[..., dict[str, Any]]


@pytest.fixture
def valid(db: Session) -> Valid:
    """Inserts a good row with these changes; gives it as it stands then."""
    required = {"entity_type": "salon", "action": "update"}
    return lambda **changes: only(db.execute(SQL("{} RETURNING *").format(insert(TABLE, required | changes))))


def only(cursor: Cursor[Any]) -> dict[str, Any]:
    """The only row of a query, by column."""
    rows = cursor.fetchall()
    assert len(rows) == 1
    return dict_row(cursor)(rows[0])


def test_the_columns_are_those_of_the_plan(db: Session) -> None:
    shapes = db.rows(
        """
        SELECT concat_ws(' ', attname, format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'NOT NULL' END)
        FROM pg_attribute
        WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
        ORDER BY attnum
        """,
        [TABLE],
    )
    assert [shape for (shape,) in shapes] == [
        "id uuid NOT NULL",
        "entity_type character varying(100) NOT NULL",
        "entity_id uuid",
        "action character varying(100) NOT NULL",
        "actor_id uuid",  # not NOT NULL, as the plan's SQL has it: its ON DELETE SET NULL could never work
        "created_at timestamp with time zone",
        "old_values jsonb",
        "new_values jsonb",
        "change_summary text",
        "reason text",
        "source_system character varying(100)",
        "ip_address inet",
        "user_agent text",
        "metadata jsonb",
    ]


def test_the_indexes_are_those_of_the_plan_and_valid(db: Session) -> None:
    found = db.rows(
        "SELECT pg_get_indexdef(indexrelid), indisvalid FROM pg_index WHERE indrelid = %s::regclass", [TABLE]
    )
    assert dict(found) == {
        f"CREATE UNIQUE INDEX audit_logs_pkey ON {TABLE} USING btree (id)": True,
        f"CREATE INDEX idx_audit_logs_entity ON {TABLE} USING btree (entity_type, entity_id)": True,
        f"CREATE INDEX idx_audit_logs_actor ON {TABLE} USING btree (actor_id)": True,
        f"CREATE INDEX idx_audit_logs_created_at ON {TABLE} USING btree (created_at DESC)": True,
        f"CREATE INDEX idx_audit_logs_action ON {TABLE} USING btree (action)": True,
        # Without the plan's predicate, which follows the clock and cannot exist.
        f"CREATE INDEX idx_audit_logs_recent ON {TABLE} USING btree (entity_type, created_at DESC)": True,
    }


def test_what_is_left_out_takes_its_default_or_is_null(db: Session, valid: Valid) -> None:
    row, another = valid(), valid()
    assert row["id"].version == 4
    assert row["id"] != another["id"]
    assert {column: value for column, value in row.items() if value is not None} == {
        "id": row["id"],
        "entity_type": "salon",
        "action": "update",
        "created_at": db.value("SELECT now()"),
        "metadata": {},
    }


@pytest.mark.parametrize("column", ["id", "entity_type", "action"])
def test_null_is_refused(db: Session, valid: Valid, column: str) -> None:
    with db.raises("23502", column=column):
        valid(**{column: None})


@pytest.mark.parametrize(
    "column",
    [
        *("entity_id", "actor_id", "created_at", "old_values", "new_values", "change_summary"),
        *("reason", "source_system", "ip_address", "user_agent", "metadata"),
    ],
)
def test_null_is_taken(valid: Valid, column: str) -> None:
    assert valid(**{column: None})[column] is None


@pytest.mark.parametrize("column", ["entity_type", "action"])
@pytest.mark.parametrize("text", ["x", " update "], ids=["one letter", "a word between blanks"])
def test_text_that_says_something_is_taken_as_it_is(valid: Valid, column: str, text: str) -> None:
    assert valid(**{column: text})[column] == text


@pytest.mark.parametrize("column", ["entity_type", "action"])
@pytest.mark.parametrize("text", ["", " ", "\t", "\n"], ids=["no text", "a blank", "a tab", "a line break"])
def test_blank_text_is_refused(db: Session, valid: Valid, column: str, text: str) -> None:
    with db.raises("23514", constraint="valid_action"):
        valid(**{column: text})


@pytest.mark.parametrize("column", ["entity_type", "action", "source_system"])
def test_100_characters_are_taken(valid: Valid, column: str) -> None:
    assert valid(**{column: "é" * 100})[column] == "é" * 100


@pytest.mark.parametrize("column", ["entity_type", "action", "source_system"])
def test_101_characters_are_too_long(db: Session, valid: Valid, column: str) -> None:
    with db.raises("22001", message="character varying(100)"):
        valid(**{column: "é" * 101})


def test_an_id_is_given_once(db: Session, valid: Valid) -> None:
    row = valid()
    with db.raises("23505", constraint="audit_logs_pkey"):
        valid(id=row["id"])


def test_the_actor_must_exist(db: Session, valid: Valid) -> None:
    with db.raises("23503", constraint="audit_logs_actor_id_fkey"):
        valid(actor_id=uuid4())


def test_the_log_outlives_the_actor(db: Session, valid: Valid, world: World) -> None:
    leaver = {"id": uuid4(), "username": "leaver", "email": "leaver@example.org"}
    db.execute(insert("identity.profiles", {**world.row("identity.profiles", "customer"), **leaver}))
    row = valid(actor_id=leaver["id"])
    assert row["actor_id"] == leaver["id"]
    assert db.execute("DELETE FROM identity.profiles WHERE id = %s", [leaver["id"]]).rowcount == 1
    left = only(db.execute("SELECT * FROM audit.audit_logs WHERE id = %s", [row["id"]]))
    assert left == {**row, "actor_id": None}
