"""A cell of a grid as a pytest item."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from rolecall.errors import RolecallError
from rolecall.grids.grid import Cell, Grid
from rolecall.process.process import process_of
from rolecall.report import terminal
from rolecall.report.results import CellFailure


class CellError(AssertionError):
    """The outcome of a cell differs from its grid."""

    def __init__(self, failure: CellFailure, missing: Collection[str] = ()) -> None:
        """``missing`` are the rows that the world lacks: one of them may be the reason."""
        lines = [f"  and         {each}" for each in missing]
        super().__init__("\n".join([terminal.cell_failure(failure), *lines]))
        self.failure = failure


class CellItem(pytest.Item):
    """A cell of a grid as a test."""

    def __init__(self, *, grid: Grid, cell: Cell, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.grid, self.cell = grid, cell

    def runtest(self) -> None:
        """Compare the outcome of the cell with the grid. Raises CellError if they differ."""
        worker = process_of(self.config).get_worker()
        if failure := worker.check(self.grid, self.cell):
            raise CellError(failure, [worker.world.problem(*key) for key in worker.world.missing])

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The explanation, without a traceback that would only show rolecall."""
        if isinstance(excinfo.value, CellError | RolecallError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int, str]:
        """The file and the line of the cell."""
        return self.path, self.cell.line - 1, self.name


def collect(module: pytest.Module, name: str, grid: Grid) -> list[CellItem]:
    """An item for every cell of a grid that a module defines. Raises pytest's CollectError for an invalid grid."""
    try:
        grid.validate(process_of(module.config).world)
    except RolecallError as error:
        raise module.CollectError(str(error)) from None
    # A node id in one piece is split as pytest splits the ids that --lf has stored.
    names = [(cell, f"{name}[{cell.id}]") for cell in grid.cells]
    return [
        CellItem.from_parent(module, name=item_name, nodeid=f"{module.nodeid}::{item_name}", grid=grid, cell=cell)
        for cell, item_name in names
    ]
