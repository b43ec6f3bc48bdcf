"""The grids of the project in the current folder, as pytest collects them. No test runs."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rolecall.access.world import World
from rolecall.errors import RolecallError
from rolecall.grids.grid import Grid
from rolecall.item import CellItem
from rolecall.process.process import NOTHING_TO_BUILD, PROCESS, Process


@dataclass(eq=False)  # pytest needs plugins with a hash
class Collected:
    """The settings and the world are those of ``process``. The grids are by the id of their tests."""

    process: Process | None = None
    grids: dict[str, Grid] = field(default_factory=dict)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> None:
        """Note the process, which a project has if it uses rolecall."""
        self.process = session.config.stash.get(PROCESS, None)
        if self.process is None:
            raise pytest.UsageError(f"{NOTHING_TO_BUILD} Run the command in the folder of pytest's configuration.")

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note the grids, before any option deselects a cell."""
        for item in items:
            if isinstance(item, CellItem) and item.parent:
                self.grids[f"{item.parent.nodeid}::{item.name.partition('[')[0]}"] = item.grid

    @property
    def world(self) -> World:
        """The personas and the rows."""
        return self.process.world if self.process else World()


class CollectedGrids(Collected):
    """Only the grids: no other test is made, and no module is imported that cannot have a grid.

    A grid may lack cells here: they have no verdict.
    """

    @pytest.hookimpl(tryfirst=True)
    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Leave out the files that do not name what makes a grid. A grid belongs to the module that calls it."""
        if not collection_path.is_file():
            return None
        try:
            has_grid = collection_path.suffix == ".py" and b"grid" in collection_path.read_bytes()
        except OSError:
            return None
        return None if has_grid else True

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(self, collector: pytest.Collector, name: str, obj: object) -> list[pytest.Item]:
        """Note a grid. Make no item of anything."""
        if isinstance(obj, Grid) and obj.path == collector.path:
            try:
                grid = obj.expanded(self.world).completed(self.world)
                grid.validate(self.world)
            except RolecallError as error:
                raise collector.CollectError(str(error)) from None
            self.grids[f"{collector.nodeid}::{name}"] = grid
        return []


def collect() -> Collected:
    """Collect the tests of the folder. Raises RolecallError if that fails, or if there is no grid."""
    collected = _collected(Collected())
    if not collected.grids:
        raise RolecallError("the tests of this folder have no grid: pytest --collect-only lists what there is.")
    return collected


def collect_grids() -> Collected:
    """Collect only the grids of the folder, which is faster. There may be none. Raises RolecallError if that fails."""
    return _collected(CollectedGrids())


def _collected(collected: Collected) -> Collected:
    output = io.StringIO()
    with redirect_stdout(output):
        # Without --assert=plain, pytest warns that rolecall is imported already.
        status = pytest.main(["--assert=plain", "--collect-only", "-q"], plugins=[collected])
    if status == pytest.ExitCode.USAGE_ERROR:
        raise RolecallError("pytest cannot read this project: see its message.")
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise RolecallError(f"pytest cannot collect the tests of this folder:\n{output.getvalue().strip()}")
    return collected
