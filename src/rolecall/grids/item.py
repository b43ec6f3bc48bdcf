"""A cell of a grid as a test of pytest's, and what else is known of the tests that were collected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from rolecall.errors import RolecallError
from rolecall.grids.grid import Cell, Grid

if TYPE_CHECKING:
    from rolecall.mutants.selection import Suite
    from rolecall.plugin import Plugin


class CellItem(pytest.Item):
    """A cell of a grid as a test."""

    def __init__(self, *, grid: Grid, cell: Cell, **rest: Any) -> None:
        super().__init__(**rest)
        self.grid, self.cell = grid, cell

    def runtest(self) -> None:
        """Compare what came of the cell with what is written."""
        if wrong := plugin_of(self.config).here.judge(self.grid, self.cell):
            raise CellError(wrong)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The explanation, without a traceback that would only show rolecall."""
        if isinstance(excinfo.value, CellError | RolecallError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int, str]:
        """The line of the grid on which the cell is written."""
        return self.path, self.cell.line - 1, self.name


class CellError(AssertionError):
    """A cell that is not as its grid says."""


def plugin_of(config: pytest.Config) -> Plugin:
    """This process's plugin. Raises RolecallError in a project that rolecall was not set up for."""
    plugin = config.pluginmanager.getplugin("rolecall-run")
    if plugin is None:
        raise RolecallError("rolecall has nothing to build: set rolecall_baseline or rolecall_migrations.")
    return cast("Plugin", plugin)


def suite_of(items: list[pytest.Item]) -> Suite:
    """What pytest collected, as the suite that mutants are tried against."""
    from rolecall.mutants.selection import Suite

    grids = dict.fromkeys(item.grid for item in items if isinstance(item, CellItem))
    return Suite(list(grids), [item for item in items if isinstance(item, pytest.Function)])


def cell_of(item: pytest.Item) -> tuple[Grid, Cell] | None:
    """The cell that an item is of, and its grid; None for a test of another kind."""
    return (item.grid, item.cell) if isinstance(item, CellItem) else None
