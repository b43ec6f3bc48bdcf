"""No table is left out: whatever the migrations make, or put a policy on, has a grid."""

from rolecall import Grid
from rolecall.database import Built


def test_every_table_has_a_grid(built: Built, grids: list[Grid]) -> None:
    assert len(built.tables) == 6
    assert sorted(grid.table for grid in grids) == built.tables
