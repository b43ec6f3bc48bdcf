"""Which cells of a run were tried, and with which outcome."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from rolecall.digest import failures
from rolecall.item import CellItem
from rolecall.report.results import CellTally

ATTRIBUTE = "rolecall_cell"  # of a report; pytest sends it between processes as JSON
OBSERVED = "rolecall_observed"  # of the report of a cell that nobody has decided


class Tally:
    """pytest's hooks that count cells. In the first process, ``outcomes`` has those of all workers, by id."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}
        self._grids: set[str] = set()
        self._personas: set[str] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count a cell. One that is run again has the outcome of its last run."""
        attached: list[str] | None = getattr(report, ATTRIBUTE, None)
        if attached is None:
            return
        cell, grid, persona = attached
        failure = failures.read(report)
        outcome = "right" if report.passed else "wrong" if failure and failure.cell else "failed"
        self.outcomes[cell] = "undecided" if getattr(report, OBSERVED, None) else outcome
        self._grids.add(grid)
        self._personas.add(persona)

    def count(self) -> CellTally:
        """How many cells had each outcome."""
        return CellTally(len(self._grids), len(self._personas), **{"right": 0} | Counter(self.outcomes.values()))


def attach(report: pytest.TestReport, item: CellItem) -> None:
    """Add to the report of a cell what the first process needs to count it."""
    if report.when == "call" and not report.skipped:
        setattr(report, ATTRIBUTE, [failures.id_of(item), failures.test_of(item), item.cell.persona])
