"""What scheduling.appointment_services is made of, and what each of its constraints takes and refuses."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from psycopg import Cursor
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from rolecall import Row, Session, World
from rolecall.access.world import insert

TABLE = "scheduling.appointment_services"
Valid = Callable[..., dict[str, Any]]
Parent = Callable[[str], tuple[str, str]]


@pytest.fixture
def valid(db: Session, world: World) -> Valid:
    """Inserts a good row with these changes; gives it as it stands then."""
    required = {
        "appointment_id": world.row("scheduling.appointments", "customer at the salon")["id"],
        "service_id": world.row("catalog.services", "salon's haircut")["id"],
    }
    return lambda **changes: only(db.execute(SQL("{} RETURNING *").format(insert(TABLE, required | changes))))


@pytest.fixture
def parent(db: Session, world: World) -> Parent:
    """Inserts a row for a column to point to, on which nothing else hangs; gives its table and id."""
    person = {**world.row("identity.profiles", "staff"), "username": "leaver", "email": "leaver@example.org"}
    newcomer = {"user_id": world.row("identity.profiles", "customer")["id"]}
    parents: dict[str, tuple[str, Row]] = {
        "appointment_id": ("scheduling.appointments", world.row("scheduling.appointments", "customer at the salon")),
        "service_id": ("catalog.services", world.row("catalog.services", "salon's haircut")),
        "staff_id": ("organization.staff_profiles", {**world.row("organization.staff_profiles", "staff"), **newcomer}),
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
        "appointment_id uuid NOT NULL",
        "service_id uuid NOT NULL",
        "staff_id uuid",
        "service_name character varying(255)",
        "duration_minutes integer",
        "price_at_time numeric(10,2)",
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
        f"CREATE UNIQUE INDEX appointment_services_pkey ON {TABLE} USING btree (id)": True,
        f"CREATE INDEX idx_appointment_services_appointment_id ON {TABLE} USING btree (appointment_id)": True,
        f"CREATE INDEX idx_appointment_services_service_id ON {TABLE} USING btree (service_id)": True,
        f"CREATE INDEX idx_appointment_services_staff_id ON {TABLE} USING btree (staff_id)": True,
        f"CREATE INDEX idx_appointment_services_created_at ON {TABLE} USING btree (created_at DESC)": True,
    }


def test_what_is_left_out_takes_its_default_or_is_null(db: Session, valid: Valid) -> None:
    row, another = valid(), valid()
    assert row["id"].version == 4
    assert row["id"] != another["id"]
    assert {column: value for column, value in row.items() if value is not None} == {
        "id": row["id"],
        "appointment_id": row["appointment_id"],
        "service_id": row["service_id"],
        "created_at": db.value("SELECT now()"),
    }


@pytest.mark.parametrize("column", ["id", "appointment_id", "service_id"])
def test_null_is_refused(db: Session, valid: Valid, column: str) -> None:
    with db.raises("23502", column=column):
        valid(**{column: None})


@pytest.mark.parametrize(
    "column",
    [
        *("staff_id", "service_name", "duration_minutes", "price_at_time"),
        *("created_at", "created_by_id", "updated_at", "updated_by_id"),
    ],
)
def test_null_is_taken(valid: Valid, column: str) -> None:
    assert valid(**{column: None})[column] is None


@pytest.mark.parametrize(
    ("column", "given", "stored"),
    [
        pytest.param("duration_minutes", 1, 1, id="one minute"),
        pytest.param("price_at_time", 0, Decimal("0.00"), id="for nothing"),
        pytest.param("price_at_time", Decimal("-0.004"), Decimal("0.00"), id="less than nothing rounded to nothing"),
        pytest.param("price_at_time", Decimal("99999999.994"), Decimal("99999999.99"), id="the highest price"),
        pytest.param("service_name", "é" * 255, "é" * 255, id="a name of 255 characters in 510 bytes"),
    ],
)
def test_just_inside_is_taken(valid: Valid, column: str, given: object, stored: object) -> None:
    assert valid(**{column: given})[column] == stored


@pytest.mark.parametrize(
    ("constraint", "column", "given"),
    [
        pytest.param("valid_duration", "duration_minutes", 0, id="no time at all"),
        pytest.param("valid_duration", "duration_minutes", -1, id="less than no time"),
        pytest.param("valid_price", "price_at_time", Decimal("-0.01"), id="a cent less than nothing"),
    ],
)
def test_just_outside_is_refused(db: Session, valid: Valid, constraint: str, column: str, given: object) -> None:
    with db.raises("23514", constraint=constraint):
        valid(**{column: given})


@pytest.mark.parametrize("column", ["appointment_id", "service_id"])
def test_the_check_says_what_not_null_says(db: Session, valid: Valid, column: str) -> None:
    # NOT NULL is looked at first: while it stands, the check can never refuse anything.
    db.execute(SQL("ALTER TABLE scheduling.appointment_services ALTER {} DROP NOT NULL").format(Identifier(column)))
    with db.raises("23514", constraint="valid_appointment_service"):
        valid(**{column: None})


def test_a_name_of_256_characters_is_too_long(db: Session, valid: Valid) -> None:
    with db.raises("22001", message="character varying(255)"):
        valid(service_name="é" * 256)


def test_a_price_that_rounds_to_nine_digits_is_too_high(db: Session, valid: Valid) -> None:
    with db.raises("22003", message="numeric field overflow"):
        valid(price_at_time=Decimal("99999999.995"))


def test_an_id_is_given_once(db: Session, valid: Valid) -> None:
    row = valid()
    with db.raises("23505", constraint="appointment_services_pkey"):
        valid(id=row["id"])


@pytest.mark.parametrize("column", ["appointment_id", "service_id", "staff_id", "created_by_id", "updated_by_id"])
def test_what_is_pointed_to_must_exist(db: Session, valid: Valid, column: str) -> None:
    with db.raises("23503", constraint=f"appointment_services_{column}_fkey"):
        valid(**{column: uuid4()})


@pytest.mark.parametrize("column", ["appointment_id", "service_id"])
def test_it_goes_with_its_appointment_or_service(db: Session, valid: Valid, parent: Parent, column: str) -> None:
    table, key = parent(column)
    row = valid(**{column: key})
    delete(db, table, key)
    assert db.rows("SELECT id FROM scheduling.appointment_services WHERE id = %s", [row["id"]]) == []


@pytest.mark.parametrize("column", ["staff_id", "created_by_id", "updated_by_id"])
def test_it_outlives_those_who_had_to_do_with_it(db: Session, valid: Valid, parent: Parent, column: str) -> None:
    table, key = parent(column)
    row = valid(**{column: key})
    assert str(row[column]) == key
    delete(db, table, key)
    left = only(db.execute("SELECT * FROM scheduling.appointment_services WHERE id = %s", [row["id"]]))
    assert left == {**row, column: None}
