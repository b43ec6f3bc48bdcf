"""pytest's hooks for ``--rolecall-oracle``: each cell is also sent as requests, which must have the same outcome."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from rolecall.errors import RolecallError
from rolecall.grids.grid import Cell, Grid
from rolecall.grids.probe import Results
from rolecall.item import CellItem
from rolecall.oracle.requests import Oracle
from rolecall.process.process import Process
from rolecall.worker import Worker

REQUESTS = "rolecall oracle"  # the user property with the number of requests, which a worker sends to the terminal


class DifferenceError(RolecallError):
    """The probe and a request have different outcomes."""


class OraclePlugin:
    """Compares each cell that pytest runs with requests, and counts them."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.requests = self.cells = 0
        self._oracle: Oracle | None = None
        self._grid: Grid | None = None  # the last one, with its results
        self._results: dict[Cell, Results] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        """Send the statements of a cell as requests, after the cell itself has passed."""
        yield
        if isinstance(item, CellItem):
            self.compare(item)

    def compare(self, item: CellItem) -> None:
        """Compare the probe with requests. Raises DifferenceError if an outcome differs."""
        worker = self.process.get_worker()
        if self._oracle is None:
            if worker.connection.info.parameter_status("is_superuser") != "on":
                raise RolecallError("--rolecall-oracle needs a superuser: it deletes rows with all triggers disabled.")
            self._oracle = Oracle(worker.run, worker.name, worker.world.settings)
        results = self.results(worker, item)
        item.user_properties.append((REQUESTS, len(results)))
        if differences := self._oracle.differences(results):
            raise DifferenceError("\n".join(map(str, differences)))

    def results(self, worker: Worker, item: CellItem) -> Results:
        """The outcomes of a cell among all cells of its grid, which is how its test got them.

        Alone, a cell cannot show that another persona's plan or a check before it has changed its outcome.
        """
        grid = worker.parts.get(item.grid, item.grid)
        if grid is not self._grid:
            self._grid, self._results = grid, dict(worker.outcomes.results(grid))
        return self._results[item.cell]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count the cells and the requests."""
        for name, value in report.user_properties if report.when == "call" else ():
            if name == REQUESTS:
                self.cells += 1
                self.requests += int(str(value))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Drop the last clone while the server still runs."""
        if self._oracle:
            self._oracle.close()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Report how many cells and statements were compared."""
        terminalreporter.section("oracle")
        terminalreporter.line(f"{self.cells} cells, {self.requests} statements: each also sent as a request")
