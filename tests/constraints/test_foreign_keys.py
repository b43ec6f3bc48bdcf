"""The foreign keys of the five tables: what they refuse, and what becomes of a row whose other row is deleted."""

from typing import Any
from uuid import uuid4

import pytest
from psycopg.types.json import Jsonb

from rolecall import FindChanges, Session, World, deleted, updated
from tests.constraints.rows import Columns, InsertParent, InsertValid

# The foreign keys, and what happens to a row when the row that it refers to is deleted.
FOREIGN_KEYS = {
    "scheduling.appointment_services": {
        "appointment_id": "CASCADE",
        "service_id": "CASCADE",
        "staff_id": "SET NULL",
        "created_by_id": "SET NULL",
        "updated_by_id": "SET NULL",
    },
    "communication.message_threads": {
        "created_by_id": "CASCADE",
        "recipient_id": "CASCADE",
        "salon_id": "SET NULL",
        "appointment_id": "SET NULL",
    },
    "engagement.customer_favorites": {
        "customer_id": "CASCADE",
        "salon_id": "CASCADE",
        "created_by_id": "SET NULL",
        "updated_by_id": "SET NULL",
    },
    "audit.audit_logs": {"actor_id": "SET NULL"},
    "catalog.service_booking_rules": {"service_id": "CASCADE", "salon_id": "CASCADE"},
}

# Nothing but a foreign key updates an entry of the audit trail: these values have capitals, length and an empty field.
ODD: dict[str, Columns] = {"audit.audit_logs": {"entity_type": "Salon " * 12, "old_values": Jsonb({"a": None})}}


def foreign_keys(*actions: str) -> list[Any]:
    """Each foreign key with one of these actions: test parameters "table" and "column"."""
    return [
        pytest.param(table, column, id=f"{table}.{column}")
        for table, keys in FOREIGN_KEYS.items()
        for column, action in keys.items()
        if action in actions
    ]


def delete(db: Session, table: str, key: str) -> None:
    assert db.execute(f"DELETE FROM {table} WHERE id = %s", [key]).rowcount == 1


@pytest.mark.rolecall_pin
@pytest.mark.parametrize("table", FOREIGN_KEYS)
def test_the_foreign_keys_are_those_of_the_plan(db: Session, table: str) -> None:
    actual = db.rows(
        """
        SELECT attname, CASE confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' ELSE confdeltype::text END
        FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
        WHERE contype = 'f' AND conrelid = %s::regclass
        """,
        [table],
    )
    assert dict(actual) == FOREIGN_KEYS[table]


@pytest.mark.parametrize(("table", "column"), foreign_keys("CASCADE", "SET NULL"))
def test_a_reference_to_no_row_is_refused(db: Session, table: str, column: str, insert_valid: InsertValid) -> None:
    with db.raises("23503", constraint=f"{table.split('.')[1]}_{column}_fkey"):
        insert_valid(**{column: uuid4()})


@pytest.mark.parametrize(("table", "column"), foreign_keys("CASCADE"))
def test_a_row_is_deleted_with_the_row_that_it_refers_to(
    db: Session,
    changes: FindChanges,
    table: str,
    column: str,
    insert_valid: InsertValid,
    insert_parent: InsertParent,
) -> None:
    referenced, key = insert_parent(column)
    row = insert_valid(**{column: key})
    with changes() as changed:
        delete(db, referenced, key)
    assert changed == [deleted(referenced, key), deleted(table, row["id"])]


@pytest.mark.parametrize(("table", "column"), foreign_keys("SET NULL"))
def test_a_row_outlives_the_row_that_it_refers_to(
    db: Session,
    world: World,
    changes: FindChanges,
    table: str,
    column: str,
    required: Columns,
    insert_valid: InsertValid,
    insert_parent: InsertParent,
) -> None:
    """All of its other columns stay, so as many as possible have a value."""
    fullest = max(world.rows[table].values(), key=lambda row: sum(value is not None for value in row.values()))
    others = {name: value for name, value in fullest.items() if name not in {"id", *required}}
    referenced, key = insert_parent(column)
    row = insert_valid(**others | ODD.get(table, {}) | {column: key})
    assert str(row[column]) == key
    with changes() as changed:
        delete(db, referenced, key)
    assert changed == [deleted(referenced, key), updated(table, row["id"], **{column: None})]


@pytest.mark.parametrize(("table", "column"), foreign_keys("CASCADE", "SET NULL"))
def test_a_row_that_is_referred_to_keeps_its_key(
    db: Session,
    changes: FindChanges,
    table: str,
    column: str,
    insert_valid: InsertValid,
    insert_parent: InsertParent,
) -> None:
    """No foreign key has an ON UPDATE: it would change rows that the statement does not name."""
    referenced, key = insert_parent(column)
    insert_valid(**{column: key})
    constraint = f"{table.split('.')[1]}_{column}_fkey"
    with changes() as changed, db.raises("23503", constraint=constraint):
        db.execute(f"UPDATE {referenced} SET id = %s WHERE id = %s", [uuid4(), key])
    assert changed == []
