"""What catalog.service_booking_rules is made of, and what each of its constraints takes and refuses."""

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

TABLE = "catalog.service_booking_rules"
Valid = Callable[..., dict[str, Any]]
Parent = Callable[[str], tuple[str, str]]


@pytest.fixture
def parent(db: Session, world: World) -> Parent:
    """Inserts a row for a column to point to, on which nothing else hangs; gives its table and id."""
    parents: dict[str, tuple[str, Row]] = {
        "service_id": ("catalog.services", world.row("catalog.services", "salon's haircut")),
        "salon_id": ("organization.salons", {**world.row("organization.salons", "salon"), "slug": "closing-down"}),
    }

    def put(column: str) -> tuple[str, str]:
        (table, row), key = parents[column], str(uuid4())
        db.execute(insert(table, {**row, "id": key}))
        return table, key

    return put


@pytest.fixture
def valid(db: Session, world: World, parent: Parent) -> Valid:
    """Inserts a good row with these changes, for a service without rules; gives it as it stands then."""
    _, service = parent("service_id")
    required = {"service_id": service, "salon_id": world.row("organization.salons", "salon")["id"]}
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
        "service_id uuid NOT NULL",
        "salon_id uuid NOT NULL",
        "min_notice_minutes integer",
        "max_advance_days integer",
        "requires_deposit boolean",
        "deposit_amount numeric(10,2)",
        "max_concurrent_bookings integer",
        "bookable_by_staff_only boolean",
        "auto_confirm boolean",
        "created_at timestamp with time zone",
        "updated_at timestamp with time zone",
    ]


def test_the_indexes_are_those_of_the_plan_and_valid(db: Session) -> None:
    found = db.rows(
        "SELECT pg_get_indexdef(indexrelid), indisvalid FROM pg_index WHERE indrelid = %s::regclass", [TABLE]
    )
    assert dict(found) == {
        f"CREATE UNIQUE INDEX service_booking_rules_pkey ON {TABLE} USING btree (id)": True,
        f"CREATE UNIQUE INDEX idx_service_booking_rules_unique ON {TABLE} USING btree (service_id, salon_id)": True,
        f"CREATE INDEX idx_service_booking_rules_salon ON {TABLE} USING btree (salon_id)": True,
        f"CREATE INDEX idx_service_booking_rules_service ON {TABLE} USING btree (service_id)": True,
    }


def test_what_is_left_out_takes_its_default_or_is_null(db: Session, valid: Valid, parent: Parent) -> None:
    row, another = valid(), valid(service_id=parent("service_id")[1])
    assert row["id"].version == 4
    assert row["id"] != another["id"]
    assert {column: value for column, value in row.items() if value is not None} == {
        "id": row["id"],
        "service_id": row["service_id"],
        "salon_id": row["salon_id"],
        "min_notice_minutes": 0,
        "max_advance_days": 90,
        "requires_deposit": False,
        "bookable_by_staff_only": False,
        "auto_confirm": True,
        "created_at": db.value("SELECT now()"),
    }


@pytest.mark.parametrize("column", ["id", "service_id", "salon_id"])
def test_null_is_refused(db: Session, valid: Valid, column: str) -> None:
    with db.raises("23502", column=column):
        valid(**{column: None})


@pytest.mark.parametrize(
    "column",
    [
        *("min_notice_minutes", "max_advance_days", "requires_deposit", "deposit_amount", "max_concurrent_bookings"),
        *("bookable_by_staff_only", "auto_confirm", "created_at", "updated_at"),
    ],
)
def test_null_is_taken(valid: Valid, column: str) -> None:
    assert valid(**{column: None})[column] is None


@pytest.mark.parametrize(
    ("column", "given", "stored"),
    [
        pytest.param("min_notice_minutes", 0, 0, id="no notice"),
        pytest.param("max_advance_days", 1, 1, id="a day ahead"),
        pytest.param("max_concurrent_bookings", 1, 1, id="one at a time"),
        pytest.param("deposit_amount", Decimal("0.01"), Decimal("0.01"), id="a deposit of a cent"),
        pytest.param("deposit_amount", Decimal("0.005"), Decimal("0.01"), id="a deposit rounded to a cent"),
        pytest.param("deposit_amount", Decimal("99999999.994"), Decimal("99999999.99"), id="the highest deposit"),
    ],
)
def test_just_inside_is_taken(valid: Valid, column: str, given: object, stored: object) -> None:
    assert valid(**{column: given})[column] == stored


@pytest.mark.parametrize(
    ("constraint", "column", "given"),
    [
        pytest.param("valid_minutes", "min_notice_minutes", -1, id="notice afterwards"),
        pytest.param("valid_days", "max_advance_days", 0, id="not a day ahead"),
        pytest.param("valid_days", "max_advance_days", -1, id="days gone by"),
        pytest.param("valid_concurrent", "max_concurrent_bookings", 0, id="none at a time"),
        pytest.param("valid_concurrent", "max_concurrent_bookings", -1, id="fewer than none at a time"),
        pytest.param("valid_deposit", "deposit_amount", 0, id="a deposit of nothing"),
        pytest.param("valid_deposit", "deposit_amount", Decimal("0.004"), id="a deposit rounded to nothing"),
        pytest.param("valid_deposit", "deposit_amount", Decimal("-0.01"), id="a deposit paid out"),
    ],
)
def test_just_outside_is_refused(db: Session, valid: Valid, constraint: str, column: str, given: object) -> None:
    with db.raises("23514", constraint=constraint):
        valid(**{column: given})


def test_no_bookings_at_once_is_refused_whatever_else_is_left_open(db: Session, valid: Valid) -> None:
    with db.raises("23514", constraint="valid_concurrent"):
        valid(max_concurrent_bookings=0, max_advance_days=None, min_notice_minutes=None)


def test_a_deposit_that_rounds_to_nine_digits_is_too_high(db: Session, valid: Valid) -> None:
    with db.raises("22003", message="numeric field overflow"):
        valid(deposit_amount=Decimal("99999999.995"))


def test_a_deposit_may_be_required_without_an_amount(valid: Valid) -> None:
    # The plan's columns allow it; docs/findings.md, F42, recommends a CHECK.
    row = valid(requires_deposit=True)
    assert (row["requires_deposit"], row["deposit_amount"]) == (True, None)


def test_an_id_is_given_once(db: Session, valid: Valid, parent: Parent) -> None:
    row = valid()
    with db.raises("23505", constraint="service_booking_rules_pkey"):
        valid(id=row["id"], service_id=parent("service_id")[1])


def test_a_service_has_one_rule_in_a_salon(db: Session, valid: Valid) -> None:
    valid()
    with db.raises("23505", constraint="idx_service_booking_rules_unique"):
        valid()


@pytest.mark.parametrize("column", ["service_id", "salon_id"])
def test_another_service_or_salon_has_a_rule_of_its_own(valid: Valid, parent: Parent, column: str) -> None:
    _, key = parent(column)
    row, other = valid(), valid(**{column: key})
    assert (str(other[column]), other["id"] != row["id"]) == (key, True)


@pytest.mark.parametrize("column", ["service_id", "salon_id"])
def test_what_is_pointed_to_must_exist(db: Session, valid: Valid, column: str) -> None:
    with db.raises("23503", constraint=f"service_booking_rules_{column}_fkey"):
        valid(**{column: uuid4()})


@pytest.mark.parametrize("column", ["service_id", "salon_id"])
def test_it_goes_with_its_service_or_salon(db: Session, valid: Valid, parent: Parent, column: str) -> None:
    table, key = parent(column)
    row = valid(**{column: key})
    gone = SQL("DELETE FROM {} WHERE id = %s").format(Identifier(*table.split(".")))
    assert db.execute(gone, [key]).rowcount == 1
    assert db.rows("SELECT id FROM catalog.service_booking_rules WHERE id = %s", [row["id"]]) == []
