"""The cells of a grid as assertions of pgTAP: one for each check that the database can try."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from rolecall.grids.grid import Cell, Grid
from rolecall.grids.probe import Check, Outcome, Results
from rolecall.grids.verdicts import expected_words, verdict
from rolecall.pgtap.script import Assertion


class Exported(NamedTuple):
    """What a grid has become.

    ``left_out`` says what pgTAP does not test, and ``differing`` at which cells pytest fails now.
    """

    assertions: list[Assertion]
    left_out: list[str]
    differing: list[str]


def export(grid: Grid, results: Iterable[tuple[Cell, Results]]) -> Exported:
    """Export a grid. ``results`` are its cells with their checks and outcomes."""
    exported = Exported([], [], [])
    for cell, tried in sorted(results, key=lambda result: grid.cells.index(result[0])):
        if verdict(tried, cell.expected) != cell.expected:
            exported.differing.append(_name(cell))
        possible = [(check, outcome) for check, outcome in tried if not outcome.skipped]
        words = expected_words(cell.expected, [check for check, _ in possible])
        for (check, outcome), word in zip(possible, words, strict=True):
            if outcome.column_rows is None:
                exported.assertions.append(Assertion(_name(cell) + _way(check), check, word))
                continue
            # The whole table is refused, and some columns are granted.
            whole, _, by_columns = cell.expected.partition("/")
            exported.assertions.append(Assertion(_name(cell) + _way(check), check, whole))
            if by_columns and (columns := _readable(grid, check, outcome)):
                exported.assertions.append(Assertion(f"{_name(cell)}, single columns", columns, by_columns))
            else:
                exported.left_out.append(f"{_name(cell)}: what single columns allow")
    return exported


def _readable(grid: Grid, check: Check, outcome: Outcome) -> Check | None:
    """The select of the columns that are granted one by one. None for a write, or without a privilege on the key."""
    names = outcome.columns or ()
    if check.method != "GET" or not set(grid.key) <= {_unquoted(name) for name in names}:
        return None
    statement = f"SELECT {', '.join(names)} FROM {check.target} WHERE {check.condition}"
    return replace(check, statement=statement, columns=False)


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _name(cell: Cell) -> str:
    undecided = "" if cell.decided else " (not decided yet)"
    return f"{cell.persona}: {cell.command} on {cell.row}{undecided}"


def _way(check: Check) -> str:
    """How a client sends the statement, if not in the simplest way."""
    if check.upsert:
        return ", as an upsert"
    if check.representation:
        return ", and reads the result"
    return ", without reading a column" if check.blind else ""
