"""Which cells of a run were tried, and with which outcome."""

from __future__ import annotations

from collections import Counter
from sys import intern
from typing import Any, NamedTuple

import pytest

from rolecall.item import CellItem
from rolecall.report.results import CellTally

ATTRIBUTE = "rolecall_cell"  # of a report; pytest sends it between processes as JSON
OBSERVED = "rolecall_observed"  # of the report of a cell that nobody has decided


class TriedCell(NamedTuple):
    """A cell that ran. ``grid`` is the beginning of the ids of the grid's cells."""

    grid: str
    row: str
    persona: str
    outcome: str


class Tally:
    """pytest's hooks that note cells. In the first process, ``cells`` has those of all workers, by id."""

    def __init__(self) -> None:
        self.cells: dict[str, TriedCell] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note a cell. One that is run again has the outcome of its last run."""
        attached: list[str] | None = getattr(report, ATTRIBUTE, None)
        if attached is None:
            return
        cell, grid, row, persona = attached
        outcome = "right" if report.passed else "wrong" if _is_wrong(report) else "failed"
        outcome = "undecided" if getattr(report, OBSERVED, None) else outcome
        self.cells[cell] = TriedCell(intern(grid), row, persona, outcome)

    def count(self) -> CellTally:
        """How many cells had each outcome."""
        cells = self.cells.values()
        outcomes = Counter(cell.outcome for cell in cells)
        return CellTally(
            grids=len({cell.grid for cell in cells}),
            personas=len({cell.persona for cell in cells}),
            right=outcomes["right"],
            wrong=outcomes["wrong"],
            undecided=outcomes["undecided"],
            failed=outcomes["failed"],
        )


def _is_wrong(report: Any) -> bool:
    from rolecall.digest import failures  # few runs have some

    failure = failures.read(report)
    return bool(failure and failure.cell)


def attach(report: pytest.TestReport, item: CellItem) -> None:
    """Add to the report of a cell what the first process needs to count it."""
    if report.when == "call" and not report.skipped:
        nodeid = id_of(item)
        # Of equal strings, pytest keeps one: it keeps every report until the end.
        names = [item.nodeid if nodeid == item.nodeid else nodeid, intern(test_of(item))]
        setattr(report, ATTRIBUTE, [*names, item.cell.row, item.cell.persona])


def test_of(item: CellItem) -> str:
    """The beginning of the ids of a grid's cells: ``tests/test_notes.py::test_grid``."""
    return id_of(item).removesuffix(f"[{item.cell.id}]")


def id_of(item: CellItem) -> str:
    """The id of a cell. xdist may add the name of a group to the one that pytest has."""
    return f"{item.parent.nodeid if item.parent else ''}::{item.name}"
