"""The grids of a project: those of the current folder, as pytest collects them, and those of a running session."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rolecall.access.world import World
from rolecall.defects import trial
from rolecall.errors import RolecallError
from rolecall.grids.grid import Grid
from rolecall.item import CellItem
from rolecall.process.process import PROCESS, Process, nothing_to_build


@dataclass(eq=False)  # pytest needs plugins that can be hashed
class Collected:
    """The settings and the world are those of ``process``. The grids are by the id of their tests."""

    process: Process | None = None
    grids: dict[str, Grid] = field(default_factory=dict)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> None:
        """Note the process, which a project has if it uses rolecall."""
        self.process = session.config.stash.get(PROCESS, None)
        if self.process is None:
            raise pytest.UsageError(nothing_to_build(session.config))

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
        return None if collection_path.suffix == ".py" and may_have_grid(collection_path) else True

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


# ------------------------------------------------------------------ a running session

GRIDS = pytest.StashKey[dict[Path, list[Grid]]]()  # by test file


def note_grids(session: pytest.Session, items: Iterable[pytest.Item]) -> None:
    """Store the grids of the collected items."""
    files: dict[Path, list[Grid]] = {}
    for item in items:
        grids = files.setdefault(item.path, [])
        if isinstance(item, CellItem) and item.grid not in grids:
            grids.append(item.grid)
    session.stash[GRIDS] = files


def grids_of(item: pytest.Item) -> list[Grid]:
    """Every grid of the project, also of test files that this run has not collected. ``item`` is one of the run."""
    files = item.session.stash[GRIDS]
    for path in _test_files(item.config):
        if path not in files:
            tests = trial.collect(item, path)
            files[path] = list(dict.fromkeys(test.grid for test in tests if isinstance(test, CellItem)))
    return [grid for path in sorted(files) for grid in files[path]]


def _test_files(config: pytest.Config) -> Iterator[Path]:
    """The test files of the project that may have a grid, without those that the run ignores."""
    root, patterns = config.rootpath, config.getini("python_files")
    ignored = [(config.invocation_params.dir / each).resolve() for each in config.getoption("ignore") or ()]
    for folder in [root / each for each in config.getini("testpaths")] or [root]:
        for path in sorted(folder.rglob("*.py")) if folder.is_dir() else [folder]:
            is_test = any(path.match(pattern) for pattern in patterns) and not _is_hidden(path, root)
            is_ignored = any(path.is_relative_to(each) for each in ignored)
            if is_test and not is_ignored and may_have_grid(path):
                yield path


def may_have_grid(path: Path) -> bool:
    """Whether the text of a Python file names grids."""
    try:
        return "grid" in path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True  # pytest reports it


def _is_hidden(path: Path, root: Path) -> bool:
    """Whether a file is in a folder such as ``.venv``."""
    return any(part.startswith((".", "venv", "node_modules")) for part in path.relative_to(root).parts)
