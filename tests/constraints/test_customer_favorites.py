"""What engagement.customer_favorites is made of, and what each of its constraints takes and refuses."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from psycopg import Cursor
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from rolecall import Row, Session, World
from rolecall.access.world import insert

TABLE = "engagement.customer_favorites"
Valid = Callable[..., dict[str, Any]]
Parent = Callable[[str], tuple[str, str]]


@pytest.fixture
def valid(db: Session, world: World) -> Valid:
    """Inserts a good row with these changes; gives it as it stands then."""
    required = {
        "customer_id": world.row("identity.profiles", "former_staff")["id"],
        "salon_id": world.row("organization.salons", "salon")["id"],
    }
    return lambda **changes: only(db.execute(SQL("{} RETURNING *").format(insert(TABLE, required | changes))))


@pytest.fixture
def parent(db: Session, world: World) -> Parent:
    """Inserts a row for a column to point to, on which nothing else hangs; gives its table and id."""
    person = {**world.row("identity.profiles", "customer"), "username": "leaver", "email": "leaver@example.org"}
    parents: dict[str, tuple[str, Row]] = {
        "customer_id": ("identity.profiles", person),
        "salon_id": ("organization.salons", {**world.row("organization.salons", "salon"), "slug": "closing-down"}),
        "created_by_id": ("identity.profiles", person),
        "updated_by_id": ("identity.profiles", person),
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
        "customer_id uuid NOT NULL",
        "salon_id uuid NOT NULL",
        "notes text",
        "rating integer",
        "is_favorite boolean",
        "created_at timestamp with time zone",
        "created_by_id uuid",
        "updated_at timestamp with time zone",
        "updated_by_id uuid",
    ]


def test_the_indexes_are_those_of_the_plan_and_valid(db: Session) -> None:
    found = db.rows(
        "SELECT pg_get_indexdef(indexrelid), indisvalid FROM pg_index WHERE indrelid = %s::regclass", [TABLE]
    )
    assert dict(found) == {
        f"CREATE UNIQUE INDEX customer_favorites_pkey ON {TABLE} USING btree (id)": True,
        f"CREATE UNIQUE INDEX idx_customer_favorites_unique ON {TABLE}"
        " USING btree (customer_id, salon_id) WHERE (is_favorite = true)": True,
        f"CREATE INDEX idx_customer_favorites_customer ON {TABLE} USING btree (customer_id)": True,
        f"CREATE INDEX idx_customer_favorites_salon ON {TABLE} USING btree (salon_id)": True,
        f"CREATE INDEX idx_customer_favorites_created_at ON {TABLE} USING btree (created_at DESC)": True,
    }


def test_what_is_left_out_takes_its_default_or_is_null(db: Session, valid: Valid) -> None:
    row, former = valid(), valid(is_favorite=False)
    assert row["id"].version == 4
    assert row["id"] != former["id"]
    assert {column: value for column, value in row.items() if value is not None} == {
        "id": row["id"],
        "customer_id": row["customer_id"],
        "salon_id": row["salon_id"],
        "is_favorite": True,
        "created_at": db.value("SELECT now()"),
    }


@pytest.mark.parametrize("column", ["id", "customer_id", "salon_id"])
def test_null_is_refused(db: Session, valid: Valid, column: str) -> None:
    with db.raises("23502", column=column):
        valid(**{column: None})


@pytest.mark.parametrize(
    "column",
    ["notes", "rating", "is_favorite", "created_at", "created_by_id", "updated_at", "updated_by_id"],
)
def test_null_is_taken(valid: Valid, column: str) -> None:
    assert valid(**{column: None})[column] is None


@pytest.mark.parametrize("rating", [1, 5], ids=["one star", "five stars"])
def test_one_to_five_stars_are_taken(valid: Valid, rating: int) -> None:
    assert valid(rating=rating)["rating"] == rating


@pytest.mark.parametrize("rating", [0, 6, -1], ids=["no star", "six stars", "less than no star"])
def test_fewer_and_more_stars_are_refused(db: Session, valid: Valid, rating: int) -> None:
    with db.raises("23514", constraint="customer_favorites_rating_check"):
        valid(rating=rating)


@pytest.mark.parametrize("column", ["customer_id", "salon_id"])
def test_the_check_says_what_not_null_says(db: Session, valid: Valid, column: str) -> None:
    # NOT NULL is looked at first: while it stands, the check can never refuse anything.
    db.execute(SQL("ALTER TABLE engagement.customer_favorites ALTER {} DROP NOT NULL").format(Identifier(column)))
    with db.raises("23514", constraint="valid_customer_salon"):
        valid(**{column: None})


def test_an_id_is_given_once(db: Session, valid: Valid) -> None:
    row = valid(is_favorite=False)
    with db.raises("23505", constraint="customer_favorites_pkey"):
        valid(id=row["id"])


def test_a_salon_is_a_customers_favourite_once(db: Session, valid: Valid) -> None:
    valid()
    with db.raises("23505", constraint="idx_customer_favorites_unique"):
        valid()


@pytest.mark.parametrize("state", [False, None], ids=["no favourite any more", "neither favourite nor not"])
def test_what_is_no_favourite_is_not_counted(valid: Valid, state: bool | None) -> None:
    states = [valid(is_favorite=each)["is_favorite"] for each in (state, state, True)]
    assert states == [state, state, True]


def test_a_former_favourite_does_not_come_back_beside_the_same_one(db: Session, valid: Valid) -> None:
    former, _ = valid(is_favorite=False), valid()
    with db.raises("23505", constraint="idx_customer_favorites_unique"):
        db.execute("UPDATE engagement.customer_favorites SET is_favorite = true WHERE id = %s", [former["id"]])


@pytest.mark.parametrize("column", ["customer_id", "salon_id"])
def test_another_customer_or_salon_is_another_favourite(valid: Valid, parent: Parent, column: str) -> None:
    _, key = parent(column)
    row, other = valid(), valid(**{column: key})
    assert (row["is_favorite"], other["is_favorite"]) == (True, True)


@pytest.mark.parametrize("column", ["customer_id", "salon_id", "created_by_id", "updated_by_id"])
def test_what_is_pointed_to_must_exist(db: Session, valid: Valid, column: str) -> None:
    with db.raises("23503", constraint=f"customer_favorites_{column}_fkey"):
        valid(**{column: uuid4()})


@pytest.mark.parametrize("column", ["customer_id", "salon_id"])
def test_it_goes_with_its_customer_or_salon(db: Session, valid: Valid, parent: Parent, column: str) -> None:
    table, key = parent(column)
    row = valid(**{column: key})
    delete(db, table, key)
    assert db.rows("SELECT id FROM engagement.customer_favorites WHERE id = %s", [row["id"]]) == []


@pytest.mark.parametrize("column", ["created_by_id", "updated_by_id"])
def test_it_outlives_whoever_wrote_it(db: Session, valid: Valid, parent: Parent, column: str) -> None:
    table, key = parent(column)
    row = valid(**{column: key})
    assert str(row[column]) == key
    delete(db, table, key)
    left = only(db.execute("SELECT * FROM engagement.customer_favorites WHERE id = %s", [row["id"]]))
    assert left == {**row, column: None}
