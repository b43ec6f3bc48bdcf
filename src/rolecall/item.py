"""A cell of a grid as a pytest item, and what else a grid makes: after earlier phases, and with ``decided_by``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from rolecall.errors import RolecallError
from rolecall.grids.decided_by import KINDS
from rolecall.grids.grid import Cell, Grid
from rolecall.grids.leaks import is_own, looks_like_leak
from rolecall.grids.verdicts import is_verdict
from rolecall.process.process import process_of
from rolecall.report import terminal
from rolecall.report.results import ObservedCell
from rolecall.worker import Worker

if TYPE_CHECKING:
    from rolecall.report.failures import CellFailure


class CellError(AssertionError):
    """The outcome of a cell differs from its grid."""

    def __init__(self, failure: CellFailure, missing: Collection[str] = ()) -> None:
        """``missing`` are the rows that the world lacks: one of them may be the reason."""
        lines = [f"  and         {each}" for each in missing]
        super().__init__("\n".join([terminal.cell_failure(failure), *lines]))
        self.failure = failure


class UndecidedError(AssertionError):
    """A cell has the outcome that its grid says, but with a question mark, and that must not be."""


class CellItem(pytest.Item):
    """A cell of a grid as a test. ``observed`` is set if its verdict was observed, and is not decided.

    ``digest`` is that of the file, with ``--rolecall-update``.
    """

    def __init__(self, *, grid: Grid, cell: Cell, digest: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.grid, self.cell, self.digest = grid, cell, digest
        self.observed: ObservedCell | None = None
        self.reported_keywords: Mapping[str, Any] | None = None

    def runtest(self) -> None:
        """Compare the outcome of the cell with the grid. Raises CellError if they differ.

        With ``--rolecall-update`` another verdict is no error, but observed. Without it, raises UndecidedError for what
        is not decided, if that must fail.
        """
        process = process_of(self.config)
        worker, self.observed = process.get_worker(), None
        failure = worker.check(self.grid, self.cell)
        updates = process.settings.update and not worker.in_trial
        if failure and not (updates and is_verdict(failure.got)):
            raise CellError(failure, [worker.world.problem(*key) for key in worker.world.missing])
        if failure or not self.cell.decided:
            self.observed = self._observe(worker, failure.got if failure else self.cell.expected)
            if process.settings.undecided == "fail" and not updates:
                raise UndecidedError(terminal.undecided(self.observed))
            self.user_properties.append(("rolecall undecided", str(self.observed)))  # for JUnit, see gather/junit.py

    def _observe(self, worker: Worker, verdict: str) -> ObservedCell:
        cell, persona = self.cell, worker.world.personas[self.cell.persona]
        others = worker.verdicts(self.grid, cell.row, cell.persona)
        others.pop(cell.command)
        own = is_own(persona, cell.row, worker.world.row(self.grid.table, cell.row))
        return ObservedCell(
            file=self.nodeid.partition("::")[0],
            line=cell.line,
            row=cell.row,
            command=cell.command,
            persona=cell.persona,
            verdict=verdict,
            leak=looks_like_leak(worker.connection, persona, verdict, list(others.values()), is_own=own),
            differs=verdict != cell.expected,
            written=bool(cell.expected),
            path=str(self.grid.path),
            call=self.grid.line,
            table=self.grid.table,
            digest=self.digest,
        )

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The explanation, without a traceback that would only show rolecall."""
        if isinstance(excinfo.value, CellError | UndecidedError | RolecallError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int, str]:
        """The file and the line of the cell."""
        return self.path, self.cell.line - 1, self.name


class GridItemError(AssertionError):
    """A test of a whole grid fails."""


class GridItem(pytest.Item):
    """A test of a whole grid. Its failure is a text."""

    fixturenames = ("rolecall_db",)  # it needs a database, as a test with this fixture does

    def __init__(self, *, grid: Grid, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.grid = grid

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The explanation, without a traceback that would only show rolecall."""
        if isinstance(excinfo.value, GridItemError | RolecallError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int, str]:
        """The file and the line of the grid."""
        return self.path, self.grid.line - 1, self.name


class EarlierGridError(GridItemError):
    """Cells differ from their grid after an earlier phase."""

    def __init__(self, text: str, failures: list[CellFailure]) -> None:
        super().__init__(text)
        self.failures = failures


class EarlierGridItem(GridItem):
    """A whole grid after an earlier phase as a test."""

    MAX_EXPLAINED = 3  # cells; of the others the ids are enough

    def __init__(self, *, phase: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.phase = phase

    def runtest(self) -> None:
        """Compare the outcomes of all cells. Raises EarlierGridError with those that differ."""
        failures = process_of(self.config).get_worker().check_earlier(self.grid, self.phase)
        if failures:
            raise EarlierGridError(self._text(failures), failures)

    def _text(self, failures: list[CellFailure]) -> str:
        explained, others = failures[: self.MAX_EXPLAINED], failures[self.MAX_EXPLAINED :]
        count, total = len(failures), len(self.grid.cells)
        following = next(each for each in process_of(self.config).phase_numbers if each > self.phase)
        return "\n".join(
            [
                f"after phase {self.phase}, {count} of {total} cells of {self.grid.table} differ from the grid.",
                f"If that is right, give the grid a before={{{following}: …}} with these lines and the reason.",
                *map(terminal.cell_failure, explained),
                *(f"and {each.row}-{each.command}-{each.persona}" for each in others),
            ]
        )


class DecidedByItem(GridItem):
    """One kind of changes for a grid with ``decided_by`` as a test."""

    def __init__(self, *, kind: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind

    def runtest(self) -> None:
        """Make the changes and compare the verdicts. Raises GridItemError with what should not differ."""
        result = process_of(self.config).get_worker().check_decided_by(self.grid, self.kind)
        self.user_properties.append(("rolecall changes", str(result.tally)))
        if result.failure:
            raise GridItemError(result.failure)


class GridEffectsItem(GridItem):
    """A test of what the allowed writes of a grid change: each its row, and nothing else."""

    MAX_EXPLAINED = 3  # writes

    def runtest(self) -> None:
        """Try the writes. Raises GridItemError with those that have other effects than the grid says."""
        texts = process_of(self.config).get_worker().check_effects(self.grid)
        if texts:
            others = len(texts) - self.MAX_EXPLAINED
            last = [f"and {others} more"] if others > 0 else []
            raise GridItemError("\n".join([*texts[: self.MAX_EXPLAINED], *last]))


class StoredValuesItem(GridItem):
    """A test that what the personas of a grid write is what is stored, whatever the value."""

    def runtest(self) -> None:
        """Write the values. Raises GridItemError with those that are stored in another way."""
        if texts := process_of(self.config).get_worker().check_stored(self.grid):
            where = f"{self.path.name}:{self.grid.line}: {self.grid.table} does not store what is written."
            advice = "Fix the trigger or rule. If it may change the column, name it in changes=."
            raise GridItemError("\n".join([where, *(f"  {text}" for text in texts), advice]))


def collect(module: pytest.Module, name: str, grid: Grid) -> list[pytest.Item]:
    """An item for every cell of a grid that a module defines, and one for the grid after each earlier phase.

    A grid with ``changes`` has one for the effects of its writes and one for the values that they store, one with
    ``decided_by`` one for each kind of changes.
    Raises pytest's CollectError for an invalid grid.
    """
    process = process_of(module.config)
    try:
        grid = grid.expanded(process.world)
        of_cells = grid.completed(process.world) if process.settings.update else grid
        of_cells.validate(process.world)
        grid.validate_phases(process.phase_numbers)
    except RolecallError as error:
        raise module.CollectError(str(error)) from None
    digest = sha256(grid.path.read_bytes()).hexdigest() if process.settings.update else ""
    # A node id in one piece is split as pytest splits the ids that --lf has stored.
    items: list[pytest.Item] = [
        CellItem.from_parent(
            module, name=each, nodeid=f"{module.nodeid}::{each}", grid=of_cells, cell=cell, digest=digest
        )
        for cell, each in ((cell, f"{name}[{cell.id}]") for cell in of_cells.cells)
    ]
    if of_cells is not grid:  # an incomplete grid: what tests the whole of it needs the verdicts that are written now
        return items
    if grid.changes is not None:
        each = f"{name}[changes]"
        items.append(GridEffectsItem.from_parent(module, name=each, nodeid=f"{module.nodeid}::{each}", grid=grid))
        each = f"{name}[stored values]"
        items.append(StoredValuesItem.from_parent(module, name=each, nodeid=f"{module.nodeid}::{each}", grid=grid))
    for phase in process.earlier_phases:
        each = f"{name}[after phase {phase}]"
        nodeid = f"{module.nodeid}::{each}"
        items.append(EarlierGridItem.from_parent(module, name=each, nodeid=nodeid, grid=grid, phase=phase))
    for kind in KINDS if grid.decided_by else ():
        each = f"{name}[decided by: {kind}]"
        nodeid = f"{module.nodeid}::{each}"
        items.append(DecidedByItem.from_parent(module, name=each, nodeid=nodeid, grid=grid, kind=kind))
    return items


def parametrize_by_phase(metafunc: pytest.Metafunc) -> None:
    """Let a test with the mark ``rolecall_from_phase`` run after each earlier phase from that one on, too.

    The test on all phases keeps its id. Raises pytest's UsageError for a mark without the number of a phase.
    """
    (mark,) = [*metafunc.definition.iter_markers("rolecall_from_phase")][:1]
    if len(mark.args) != 1 or not isinstance(mark.args[0], int) or mark.kwargs:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: write rolecall_from_phase(2), with the first phase.")
    phases = [phase for phase in process_of(metafunc.config).earlier_phases if phase >= mark.args[0]]
    if phases and "rolecall_phase" in metafunc.fixturenames:
        earlier = [pytest.param(phase, id=f"after phase {phase}") for phase in phases]
        metafunc.parametrize("rolecall_phase", [pytest.param(None, id=pytest.HIDDEN_PARAM), *earlier])
