"""pytest's hooks for ``--rolecall-oracle``: each cell is also sent as requests, which must come to the same."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from rolecall.errors import RolecallError
from rolecall.item import CellItem
from rolecall.oracle.requests import Oracle
from rolecall.process.process import Process

COMPARED = "rolecall oracle"  # a user property, which travels from a worker to the terminal: the number of requests


class DifferenceError(RolecallError):
    """The probe says one thing, and a request gets another."""


class OraclePlugin:
    """Compares the cells of the tests that pytest runs, and counts them."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.requests = self.cells = 0
        self._oracle: Oracle | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        """Send what the cell tries as requests, after it was compared with what is written."""
        yield
        if isinstance(item, CellItem):
            self.compare(item)

    def compare(self, item: CellItem) -> None:
        """Raises DifferenceError where the probe and a request come to different things."""
        worker = self.process.get_worker()
        if self._oracle is None:
            if worker.connection.info.parameter_status("is_superuser") != "on":
                raise RolecallError(
                    "--rolecall-oracle needs a superuser: it commits, and takes rows away past all triggers."
                )
            self._oracle = Oracle(worker.run, worker.name)
        tried = worker.outcomes.try_cell(item.grid, item.cell)
        item.user_properties.append((COMPARED, len(tried)))
        if differences := self._oracle.differences(tried):
            raise DifferenceError("\n".join(map(str, differences)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count."""
        for name, value in report.user_properties if report.when == "call" else ():
            if name == COMPARED:
                self.cells += 1
                self.requests += int(str(value))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Drop the last clone while the server is there."""
        if self._oracle:
            self._oracle.close()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how much was compared."""
        terminalreporter.section("oracle")
        terminalreporter.line(f"{self.cells} cells, {self.requests} statements: each also sent as a request")
