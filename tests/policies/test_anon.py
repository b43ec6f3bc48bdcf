"""Anon reads and writes nothing in the five tables, with any grant and any other policy."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from rolecall import Grid, Session, World

TABLES = {
    "scheduling.appointment_services": "Anon cannot access appointment services",
    "communication.message_threads": "Anon cannot access threads",
    "engagement.customer_favorites": "Anon cannot access favorites",
    "audit.audit_logs": "Anon cannot access audit logs",
    "catalog.service_booking_rules": "Anon cannot access booking rules",
}


@pytest.mark.parametrize("table", TABLES)
def test_a_policy_for_everybody_does_not_let_anon_in(db: Session, world: World, table: str) -> None:
    db.execute(f"CREATE POLICY everybody ON {table} USING (true) WITH CHECK (true)")
    with db.acting_as("no_subject"):
        assert db.value(f"SELECT count(*) FROM {table}") == len(world.rows[table])
    with db.acting_as("granted_anon", on=table):
        assert db.value(f"SELECT count(*) FROM {table}") == 0
        assert db.execute(f"DELETE FROM {table}").rowcount == 0
        with db.raises("42501", message="row-level security"):
            db.execute(f"INSERT INTO {table} DEFAULT VALUES")


@pytest.mark.parametrize("table", TABLES)
def test_nothing_lets_anon_in(
    db: Session, grids: list[Grid], dependencies: Callable[[Grid], list[str]], table: str
) -> None:
    """No value of a row, no claim, header or setting: only the restrictive policy is between anon and the rows."""
    db.execute(f"CREATE POLICY everybody ON {table} USING (true) WITH CHECK (true)")
    (grid,) = (each for each in grids if each.table == table)
    cells = tuple(cell for cell in grid.cells if cell.persona == "granted_anon")
    assert dependencies(replace(grid, cells=cells)) == []


@pytest.mark.parametrize(("table", "policy"), TABLES.items(), ids=TABLES)
def test_the_restrictive_policy_keeps_anon_out(db: Session, world: World, table: str, policy: str) -> None:
    db.execute(f"CREATE POLICY everybody ON {table} USING (true)")
    db.execute(f'DROP POLICY "{policy}" ON {table}')
    with db.acting_as("granted_anon", on=table):
        assert db.value(f"SELECT count(*) FROM {table}") == len(world.rows[table])
