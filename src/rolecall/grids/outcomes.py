"""The outcomes of whole grids: every cell tried, and the cells that are not as written."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from psycopg import Connection

from rolecall.access.world import World
from rolecall.grids.explain import Tried
from rolecall.grids.grid import Cell, Grid, verdict
from rolecall.grids.probe import AT_ONCE, Check, Outcome, probe
from rolecall.grids.refusal import with_refusers


class GridOutcomes:
    """Tries grids on one connection, and remembers which cells failed."""

    def __init__(self, connection: Connection[Any], world: World) -> None:
        self.connection, self.world = connection, world
        self._failures: dict[Grid, dict[Cell, Tried]] = {}

    def knows(self, grid: Grid) -> bool:
        """Whether :meth:`failures` has tried the grid already."""
        return grid in self._failures

    def failures(self, grid: Grid) -> dict[Cell, Tried]:
        """The cells that are not as the grid says, with what was tried; the grid is tried at the first call."""
        if grid not in self._failures:
            self._failures[grid] = self.try_grid(grid)
        return self._failures[grid]

    def try_grid(self, grid: Grid) -> dict[Cell, Tried]:
        """The cells that are not as the grid says, as the database is now, in the grid's order."""
        failures: dict[Cell, Tried] = {}
        with self.connection.transaction(force_rollback=True):
            for cell, outcomes in groupby(self._outcomes(grid), key=itemgetter(0)):
                tried = [(check, outcome) for _, check, outcome in outcomes]
                if verdict(outcome for _, outcome in tried) != cell.expected:
                    failures[cell] = tried
        return {cell: failures[cell] for cell in sorted(failures, key=grid.cells.index)}

    def try_cell(self, grid: Grid, cell: Cell) -> Tried:
        """The checks of one cell and their outcomes, as the database is now."""
        checks = grid.checks(cell, self.world)
        with self.connection.transaction(force_rollback=True):
            return list(zip(checks, self._probe(checks), strict=True))

    def _outcomes(self, grid: Grid) -> Iterator[tuple[Cell, Check, Outcome]]:
        """Every outcome, with one call's worth in memory at a time.

        The personas with a setup come last, one after the other: each setup then runs once for all its checks.
        """
        for has_setup in (False, True):
            checks = (each for each in grid.all_checks(self.world) if bool(each[1].persona.setup) is has_setup)
            while batch := list(islice(checks, AT_ONCE)):
                for (cell, check), outcome in zip(batch, self._probe([check for _, check in batch]), strict=True):
                    yield cell, check, outcome

    def _probe(self, checks: list[Check]) -> list[Outcome]:
        return with_refusers(self.connection, zip(checks, probe(self.connection, checks), strict=True))
