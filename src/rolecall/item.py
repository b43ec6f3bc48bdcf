"""A cell of a grid as a pytest item."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall.errors import RolecallError
from rolecall.grids.grid import Cell, Grid
from rolecall.process.process import process_of
from rolecall.report import terminal
from rolecall.report.results import CellFailure


class CellError(AssertionError):
    """A cell that is not as its grid says."""

    def __init__(self, failure: CellFailure) -> None:
        super().__init__(terminal.cell_failure(failure))
        self.failure = failure


class CellItem(pytest.Item):
    """A cell of a grid as a test."""

    def __init__(self, *, grid: Grid, cell: Cell, **rest: Any) -> None:
        super().__init__(**rest)
        self.grid, self.cell = grid, cell

    def runtest(self) -> None:
        """Compare the outcome of the cell with what is written. Raises CellError."""
        if failure := process_of(self.config).get_worker().check(self.grid, self.cell):
            raise CellError(failure)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The explanation, without a traceback that would only show rolecall."""
        if isinstance(excinfo.value, CellError | RolecallError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int, str]:
        """The line of the grid on which the cell is written."""
        return self.path, self.cell.line - 1, self.name


def collect(module: pytest.Module, name: str, grid: Grid) -> list[CellItem]:
    """An item for every cell of a grid that a module defines. Raises pytest's CollectError for an invalid grid."""
    try:
        grid.validate(process_of(module.config).world)
    except RolecallError as error:
        raise module.CollectError(str(error)) from None
    # The id is text: pytest then splits it as it splits those that --lf has noted.
    names = [(cell, f"{name}[{cell.id}]") for cell in grid.cells]
    return [
        CellItem.from_parent(module, name=each, nodeid=f"{module.nodeid}::{each}", grid=grid, cell=cell)
        for cell, each in names
    ]
