"""pytest's hooks for undecided cells: an outcome of their own, and a section of the summary."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from rolecall.grids.leaks import rank
from rolecall.item import CellItem
from rolecall.process.process import Process
from rolecall.report import terminal
from rolecall.report.results import ObservedCell

if TYPE_CHECKING:
    from rolecall.update.files import Update

ATTRIBUTE = "rolecall_observed"  # of a report; pytest sends it between processes as JSON
STATUS = ("undecided", "?", ("UNDECIDED", {"yellow": True}))


class UpdatePlugin:
    """Reports the cells that nobody has decided. In the report they pass: pytest's exit status stays 0.

    With ``--rolecall-update``, it writes those that differ into the grids.
    """

    def __init__(self, process: Process) -> None:
        self.process = process
        self.cells: list[ObservedCell] = []
        self.update: Update | None = None

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Collect what was observed. In the first process, these are the reports of all workers."""
        if cell := _read(report):
            self.cells.append(cell)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write what differs, once, if the run has come to its end."""
        is_complete = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        if self.process.settings.update and not self.process.is_worker and is_complete:
            from rolecall.update.files import write

            differing = [cell for cell in self.cells if cell.differs]
            self.update = write(differing, self.process.world)

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
        """Say how many cells are left, and where, and what was written."""
        if self.cells:
            terminal.write_undecided(terminalreporter, sorted(self.cells, key=lambda cell: rank(cell.leak)))
        if self.update:
            for file, count in self.update.cells.items():
                terminalreporter.line(f"rewrote {count} cell{'' if count == 1 else 's'} in {file}: git diff shows them")
            for text in self.update.left:
                terminalreporter.line(text, red=True)


def _read(report: Any) -> ObservedCell | None:
    attached: dict[str, Any] | None = getattr(report, ATTRIBUTE, None)
    return ObservedCell(**attached) if attached else None
