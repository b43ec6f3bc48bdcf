"""Every table that the migrations create or put policies on has a grid; some are tried again with more visible rows."""

from collections.abc import Callable

import pytest

from rolecall import Grid, Session
from rolecall.catalog.manifest import Manifest


def test_every_table_has_a_grid(manifest: Manifest, grids: list[Grid]) -> None:
    assert len(manifest.tables) == 6
    assert sorted(grid.table for grid in grids) == manifest.tables


def test_every_grid_says_what_its_writes_change(grids: list[Grid]) -> None:
    assert [grid.table for grid in grids if grid.changes is None] == []


@pytest.mark.parametrize("table", ["scheduling.appointment_services", "catalog.service_booking_rules"])
def test_a_grid_does_not_depend_on_policies_of_other_tables(
    db: Session, grids: list[Grid], mismatches: Callable[[Grid], list[str]], table: str
) -> None:
    # The policies read these tables. They must not depend on the policies there, which the application may change.
    for other in ("scheduling.appointments", "organization.staff_profiles", "organization.salons"):
        db.execute(f"CREATE POLICY everybody ON {other} FOR SELECT USING (true)")
    (grid,) = (each for each in grids if each.table == table)
    assert mismatches(grid) == []


@pytest.mark.parametrize(
    ("persona", "statement"),
    [
        pytest.param("customer", "UPDATE engagement.customer_favorites SET customer_id = NULL", id="a favourite"),
        pytest.param("owner", "UPDATE catalog.service_booking_rules SET salon_id = NULL", id="a rule"),
        pytest.param("owner", "INSERT INTO catalog.service_booking_rules (service_id) VALUES (NULL)", id="a new rule"),
        pytest.param("customer", "UPDATE storage.objects SET bucket_id = NULL", id="an avatar"),
    ],
)
def test_the_policies_refuse_null(db: Session, persona: str, statement: str) -> None:
    # The policy refuses NULL before a NOT NULL does.
    with db.acting_as(persona), db.raises("42501", message="row-level security"):
        db.execute(statement)
