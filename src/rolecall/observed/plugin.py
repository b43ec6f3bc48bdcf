"""pytest's hooks for undecided cells: an outcome of their own, and a section of the summary."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict
from typing import Any

import pytest

from rolecall.item import CellItem
from rolecall.report import terminal
from rolecall.report.results import ObservedCell

ATTRIBUTE = "rolecall_observed"  # of a report; pytest sends it between processes as JSON
STATUS = ("undecided", "?", ("UNDECIDED", {"yellow": True}))


class ObservedPlugin:
    """Reports the cells that nobody has decided. In the report they pass: pytest's exit status stays 0."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add what was observed to the report of a cell."""
        report = yield
        if isinstance(item, CellItem) and item.observed and report.when == "call":
            setattr(report, ATTRIBUTE, asdict(item.observed))
        return report

    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """The outcome of an undecided cell that may pass."""
        return STATUS if _read(report) and report.passed else None

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how many cells are left, and where."""
        reports = [*terminalreporter.stats.get("undecided", []), *terminalreporter.stats.get("failed", [])]
        if cells := [cell for report in reports if (cell := _read(report))]:
            terminal.write_undecided(terminalreporter, cells)


def _read(report: Any) -> ObservedCell | None:
    attached: dict[str, Any] | None = getattr(report, ATTRIBUTE, None)
    return ObservedCell(**attached) if attached else None
