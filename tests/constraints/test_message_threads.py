"""What communication.message_threads is made of, and what each of its constraints takes and refuses."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any
from uuid import uuid4

import pytest
from psycopg import Cursor
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from rolecall import Row, Session, World
from rolecall.access.world import insert

TABLE = "communication.message_threads"
NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
Valid = Callable[..., dict[str, Any]]
Parent = Callable[[str], tuple[str, str]]


@pytest.fixture
def pair(world: World) -> tuple[str, str]:
    """Two people who have no thread yet."""
    return world.row("identity.profiles", "former_staff")["id"], world.row("identity.profiles", "staff_customer")["id"]


@pytest.fixture
def valid(db: Session, pair: tuple[str, str]) -> Valid:
    """Inserts a good row with these changes; gives it as it stands then."""
    required = {"created_by_id": pair[0], "recipient_id": pair[1]}
    return lambda **changes: only(db.execute(SQL("{} RETURNING *").format(insert(TABLE, required | changes))))


@pytest.fixture
def parent(db: Session, world: World) -> Parent:
    """Inserts a row for a column to point to, on which nothing else hangs; gives its table and id."""
    person = {**world.row("identity.profiles", "customer"), "username": "leaver", "email": "leaver@example.org"}
    parents: dict[str, tuple[str, Row]] = {
        "created_by_id": ("identity.profiles", person),
        "recipient_id": ("identity.profiles", person),
        "salon_id": ("organization.salons", {**world.row("organization.salons", "salon"), "slug": "closing-down"}),
        "appointment_id": ("scheduling.appointments", world.row("scheduling.appointments", "customer at the salon")),
    }

    def put(column: str) -> tuple[str, str]:
        (table, row), key = parents[column], str(uuid4())
        db.execute(insert(table, {**row, "id": key}))
        return table, key

    return put


def only(cursor: Cursor[Any]) -> dict[str, Any]:
    """The only row of a query, by column."""
    rows = cursor.fetchall()
    assert len(rows) == 1
    return dict_row(cursor)(rows[0])


def delete(db: Session, table: str, key: str) -> None:
    assert db.execute(SQL("DELETE FROM {} WHERE id = %s").format(Identifier(*table.split("."))), [key]).rowcount == 1


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
        "created_by_id uuid NOT NULL",
        "recipient_id uuid NOT NULL",
        "subject character varying(500)",
        "description text",
        "salon_id uuid",
        "appointment_id uuid",
        "is_archived boolean",
        "is_deleted boolean",
        "last_message_at timestamp with time zone",
        "unread_count integer",
        "created_at timestamp with time zone",
        "updated_at timestamp with time zone",
        "metadata jsonb",
    ]


def test_the_indexes_are_those_of_the_plan_and_valid(db: Session) -> None:
    found = db.rows(
        "SELECT pg_get_indexdef(indexrelid), indisvalid FROM pg_index WHERE indrelid = %s::regclass", [TABLE]
    )
    either_way = "LEAST(created_by_id, recipient_id), GREATEST(created_by_id, recipient_id)"
    assert dict(found) == {
        f"CREATE UNIQUE INDEX message_threads_pkey ON {TABLE} USING btree (id)": True,
        f"CREATE INDEX idx_message_threads_created_by ON {TABLE} USING btree (created_by_id)": True,
        f"CREATE INDEX idx_message_threads_recipient ON {TABLE} USING btree (recipient_id)": True,
        f"CREATE INDEX idx_message_threads_created_at ON {TABLE} USING btree (created_at DESC)": True,
        f"CREATE INDEX idx_message_threads_last_message_at ON {TABLE}"
        " USING btree (last_message_at DESC NULLS LAST)": True,
        f"CREATE INDEX idx_message_threads_salon ON {TABLE} USING btree (salon_id)": True,
        f"CREATE INDEX idx_message_threads_appointment ON {TABLE} USING btree (appointment_id)": True,
        f"CREATE INDEX idx_message_threads_participants ON {TABLE} USING btree (created_by_id, recipient_id)": True,
        f"CREATE UNIQUE INDEX idx_message_threads_unique_active ON {TABLE}"
        f" USING btree ({either_way}) WHERE (is_deleted = false)": True,
    }


def test_what_is_left_out_takes_its_default_or_is_null(db: Session, valid: Valid) -> None:
    row, deleted = valid(), valid(is_deleted=True)
    assert row["id"].version == 4
    assert row["id"] != deleted["id"]
    assert {column: value for column, value in row.items() if value is not None} == {
        "id": row["id"],
        "created_by_id": row["created_by_id"],
        "recipient_id": row["recipient_id"],
        "is_archived": False,
        "is_deleted": False,
        "unread_count": 0,
        "created_at": db.value("SELECT now()"),
        "metadata": {},
    }


@pytest.mark.parametrize("column", ["id", "created_by_id", "recipient_id"])
def test_null_is_refused(db: Session, valid: Valid, column: str) -> None:
    with db.raises("23502", column=column):
        valid(**{column: None})


@pytest.mark.parametrize(
    "column",
    [
        *("subject", "description", "salon_id", "appointment_id", "is_archived", "is_deleted"),
        *("last_message_at", "unread_count", "created_at", "updated_at", "metadata"),
    ],
)
def test_null_is_taken(valid: Valid, column: str) -> None:
    assert valid(**{column: None})[column] is None


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"last_message_at": NOON, "created_at": NOON}, id="a message with the thread"),
        pytest.param({"last_message_at": NOON, "created_at": None}, id="a message in a thread of unknown age"),
        pytest.param({"last_message_at": None, "created_at": NOON}, id="no message yet"),
        pytest.param({"unread_count": 0}, id="nothing unread"),
        pytest.param({"subject": "é" * 500}, id="a subject of 500 characters in 1000 bytes"),
    ],
)
def test_just_inside_is_taken(valid: Valid, changes: dict[str, object]) -> None:
    row = valid(**changes)
    assert {column: row[column] for column in changes} == changes


@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        pytest.param(
            "valid_dates",
            {"last_message_at": NOON - timedelta(microseconds=1), "created_at": NOON},
            id="a message before the thread",
        ),
        pytest.param("valid_unread", {"unread_count": -1}, id="fewer than none unread"),
    ],
)
def test_just_outside_is_refused(db: Session, valid: Valid, constraint: str, changes: dict[str, object]) -> None:
    with db.raises("23514", constraint=constraint):
        valid(**changes)


def test_nobody_writes_to_oneself(db: Session, valid: Valid, pair: tuple[str, str]) -> None:
    for person in pair:
        with db.raises("23514", constraint="valid_participants"):
            valid(created_by_id=person, recipient_id=person)


def test_a_subject_of_501_characters_is_too_long(db: Session, valid: Valid) -> None:
    with db.raises("22001", message="character varying(500)"):
        valid(subject="é" * 501)


def test_an_id_is_given_once(db: Session, valid: Valid) -> None:
    row = valid(is_deleted=True)
    with db.raises("23505", constraint="message_threads_pkey"):
        valid(id=row["id"])


@pytest.mark.parametrize("first", [0, 1], ids=["begun by the one", "begun by the other"])
@pytest.mark.parametrize("second", [0, 1], ids=["again by the one", "again by the other"])
def test_two_people_have_one_living_thread(
    db: Session, valid: Valid, pair: tuple[str, str], first: int, second: int
) -> None:
    valid(created_by_id=pair[first], recipient_id=pair[1 - first])
    with db.raises("23505", constraint="idx_message_threads_unique_active"):
        valid(created_by_id=pair[second], recipient_id=pair[1 - second])


@pytest.mark.parametrize("state", [True, None], ids=["deleted", "neither deleted nor not"])
def test_threads_that_do_not_live_are_not_counted(valid: Valid, state: bool | None) -> None:
    states = [valid(is_deleted=each)["is_deleted"] for each in (state, state, False)]
    assert states == [state, state, False]


def test_a_deleted_thread_does_not_come_back_beside_a_living_one(db: Session, valid: Valid) -> None:
    deleted, _ = valid(is_deleted=True), valid()
    with db.raises("23505", constraint="idx_message_threads_unique_active"):
        db.execute("UPDATE communication.message_threads SET is_deleted = false WHERE id = %s", [deleted["id"]])


def test_three_people_have_three_threads(valid: Valid, pair: tuple[str, str], world: World) -> None:
    people = [*pair, world.row("identity.profiles", "owner_on_staff")["id"]]
    threads = [valid(created_by_id=one, recipient_id=other)["id"] for one, other in combinations(people, 2)]
    assert len(threads) == 3


@pytest.mark.parametrize("column", ["created_by_id", "recipient_id", "salon_id", "appointment_id"])
def test_what_is_pointed_to_must_exist(db: Session, valid: Valid, column: str) -> None:
    with db.raises("23503", constraint=f"message_threads_{column}_fkey"):
        valid(**{column: uuid4()})


@pytest.mark.parametrize("column", ["created_by_id", "recipient_id"])
def test_it_goes_with_either_participant(db: Session, valid: Valid, parent: Parent, column: str) -> None:
    table, key = parent(column)
    row = valid(**{column: key})
    delete(db, table, key)
    assert db.rows("SELECT id FROM communication.message_threads WHERE id = %s", [row["id"]]) == []


@pytest.mark.parametrize("column", ["salon_id", "appointment_id"])
def test_it_outlives_what_it_was_about(db: Session, valid: Valid, parent: Parent, column: str) -> None:
    table, key = parent(column)
    row = valid(**{column: key})
    assert str(row[column]) == key
    delete(db, table, key)
    left = only(db.execute("SELECT * FROM communication.message_threads WHERE id = %s", [row["id"]]))
    assert left == {**row, column: None}
