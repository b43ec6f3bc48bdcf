"""No table is left out: whatever the migrations make, or put a policy on, has a grid."""

from collections.abc import Callable

import pytest

from rolecall import Grid, Session
from rolecall.database import Built


def test_every_table_has_a_grid(built: Built, grids: list[Grid]) -> None:
    assert len(built.tables) == 6
    assert sorted(grid.table for grid in grids) == built.tables


@pytest.mark.parametrize("table", ["scheduling.appointment_services", "catalog.service_booking_rules"])
def test_a_grid_holds_whoever_may_read_what_its_policies_look_at(
    db: Session, grids: list[Grid], mismatches: Callable[[Grid], list[str]], table: str
) -> None:
    # The policies must not lean on those of the tables that they look at, which are others' to change.
    for looked_at in ("scheduling.appointments", "organization.staff_profiles", "organization.salons"):
        db.execute(f"CREATE POLICY everybody ON {looked_at} FOR SELECT USING (true)")
    (grid,) = (each for each in grids if each.table == table)
    assert mismatches(grid) == []
