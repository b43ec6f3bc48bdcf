"""The search for a cell that kills a mutant. Recently failed checks come first; the first failure ends the search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import count, groupby
from operator import itemgetter
from typing import Any

from psycopg import Connection

from rolecall.access.world import World
from rolecall.grids.grid import Cell, Grid
from rolecall.grids.outcomes import GridOutcomes
from rolecall.grids.probe import Check, Checks, probe
from rolecall.grids.verdicts import expected_words, verdict

RECENT = 12  # the number of recently failed checks, which are tried first


class FirstFailure:
    """Finds the first failing cell of one grid. The cells after it are not tried."""

    def __init__(self, grid: Grid, world: World) -> None:
        self.grid, self.world = grid, world
        checks = list(_expected(grid, world))
        self._all = Checks(check for _, check in checks)
        self._recent = Checks([])
        self._cells = {id(check): cell for cell, check in checks}

    def find(self, connection: Connection[Any], *, recent: bool) -> Cell | None:
        """The first failing cell, among the recently failed ones or among all; None without one."""
        return self._find(connection, self._recent if recent else self._all)

    def fails(self, connection: Connection[Any], cell: Cell) -> bool:
        """Whether this cell fails."""
        return self._find(connection, self._by_cell.get(cell, ())) is not None

    @cached_property
    def _by_cell(self) -> dict[Cell, Checks]:
        pairs = groupby(self._all, key=lambda check: self._cells[id(check)])
        return {cell: Checks(checks) for cell, checks in pairs}

    def _find(self, connection: Connection[Any], checks: Sequence[Check]) -> Cell | None:
        while checks:
            number = self._first_unexpected(connection, checks)
            if number is None:
                return None
            check = checks[number]
            cell = self._cells[id(check)]
            results = GridOutcomes(connection, self.world).try_cell(self.grid, cell)
            if verdict(results, cell.expected) != cell.expected:
                self._put_first(check)
                return cell
            # The single checks differ, but the verdict of the whole cell is the expected one.
            checks = checks[number + 1 :]
        return None

    def _first_unexpected(self, connection: Connection[Any], checks: Sequence[Check]) -> int | None:
        outcomes = zip(count(), checks, probe(connection, checks), strict=False)
        return next(
            (number for number, check, outcome in outcomes if outcome.words and outcome.word != check.expected), None
        )

    def _put_first(self, check: Check) -> None:
        """Put a failed check first from now on."""
        others = [other for other in self._recent if other is not check]
        self._recent = Checks([check, *others][:RECENT])


def _expected(grid: Grid, world: World) -> Iterator[tuple[Cell, Check]]:
    """Every check with the verdict that its cell expects."""
    for cell, pairs in groupby(grid.all_checks(world), key=itemgetter(0)):
        checks = [check for _, check in pairs]
        for check, word in zip(checks, expected_words(cell.expected, checks), strict=True):
            yield cell, replace(check, expected=word)
