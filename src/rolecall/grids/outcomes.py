"""The outcomes of whole grids, and the cells that fail."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

import psycopg
from psycopg import Connection

from rolecall.access.world import World
from rolecall.grids.grid import Cell, Grid
from rolecall.grids.probe import BATCH_SIZE, Check, LateError, Outcome, Results, probe_in_any_order
from rolecall.grids.refusal import with_refusers
from rolecall.grids.verdicts import verdict
from rolecall.server.waits import ended_by_server


class GridOutcomes:
    """Tries grids on one connection, and stores which cells failed.

    Without ``refusers``, it is not found out which object refused: that takes three times as long, and says nothing
    about what is allowed.
    """

    def __init__(self, connection: Connection[Any], world: World, *, refusers: bool = True) -> None:
        self.connection, self.world, self.refusers = connection, world, refusers
        self.timeout = ""  # why the checks after it were not tried
        self._failures: dict[Grid, dict[Cell, Results]] = {}

    def knows(self, grid: Grid) -> bool:
        """Whether :meth:`failures` has already tried the grid."""
        return grid in self._failures

    def failures(self, grid: Grid) -> dict[Cell, Results]:
        """The cells that differ from the grid, with their checks and outcomes. The first call tries the grid."""
        if grid not in self._failures:
            self._failures[grid] = self.try_grid(grid)
        return self._failures[grid]

    def try_grid(self, grid: Grid) -> dict[Cell, Results]:
        """The cells that differ from the grid in the current state of the database, in the order of the grid."""
        failures = {
            cell: results for cell, results in self.results(grid) if verdict(results, cell.expected) != cell.expected
        }
        return {cell: failures[cell] for cell in sorted(failures, key=grid.cells.index)}

    def results(self, grid: Grid) -> Iterator[tuple[Cell, Results]]:
        """Each cell with its checks and their outcomes, in the current state of the database."""
        with self.connection.transaction(force_rollback=True):
            for cell, outcomes in groupby(self._outcomes(grid), key=itemgetter(0)):
                yield cell, [(check, outcome) for _, check, outcome in outcomes]

    def try_cell(self, grid: Grid, cell: Cell) -> Results:
        """The checks of one cell and their outcomes, in the current state of the database."""
        checks = grid.checks(cell, self.world)
        with self.connection.transaction(force_rollback=True):
            return list(zip(checks, self._probe(checks), strict=True))

    def _outcomes(self, grid: Grid) -> Iterator[tuple[Cell, Check, Outcome]]:
        """Every outcome. Only one batch is in memory at a time.

        The personas with a setup come last, one after the other, so that each setup runs once for all its checks.
        After a timeout, all other checks are errors, and are not tried: each could wait as long.
        """
        broken = ""
        for has_setup in (False, True):
            checks = (pair for pair in grid.all_checks(self.world) if bool(pair[1].persona.setup) is has_setup)
            while batch := list(islice(checks, BATCH_SIZE)):
                try:
                    outcomes = [] if broken else self._probe([check for _, check in batch])
                except (LateError, psycopg.Error) as error:
                    if isinstance(error, psycopg.Error) and not ended_by_server(error):
                        raise
                    broken = self.timeout = "\n".join([str(error), *getattr(error, "__notes__", [])])
                if broken:
                    outcomes = [Outcome(0, False, None, None, broken)] * len(batch)
                for (cell, check), outcome in zip(batch, outcomes, strict=True):
                    yield cell, check, outcome

    def _probe(self, checks: list[Check]) -> list[Outcome]:
        outcomes = probe_in_any_order(self.connection, checks)
        return with_refusers(self.connection, zip(checks, outcomes, strict=True)) if self.refusers else outcomes
