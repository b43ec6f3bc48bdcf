"""A worker: one process's clone of the template, its connection, its sessions, and its scratch databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from psycopg import Connection

from rolecall.access.custom_settings import custom_settings, initialize
from rolecall.access.loading import identities
from rolecall.access.session import Session
from rolecall.access.world import World
from rolecall.catalog.manifest import Manifest
from rolecall.coverage.recorder import CoverageRecorder
from rolecall.database.rolled_back import ReusedDatabase, TransactionEndedError, rolled_back
from rolecall.database.run import Run
from rolecall.database.templates import wait_for_manifest
from rolecall.errors import RolecallError
from rolecall.grids.grid import Cell, Grid
from rolecall.grids.outcomes import GridOutcomes
from rolecall.grids.probe import prepare
from rolecall.grids.verdicts import verdict
from rolecall.noninterference import function
from rolecall.server.connection import ServerConnection
from rolecall.settings import Settings
from rolecall.sql import migrations

if TYPE_CHECKING:
    from rolecall.coverage.observer import CoverageObserver
    from rolecall.database.earlier import Earlier
    from rolecall.database.scratch import Scratch
    from rolecall.noninterference.kinds import Result
    from rolecall.report.failures import CellFailure

# What few runs need is imported where it is needed: pytest waits for every import before the first test.

T = TypeVar("T")
Change = Callable[[Connection[Any]], None]

# A backend remembers every function and plan of every trial, and a catalog keeps the rows that were rolled back.
TRIALS = 40  # after so many, the databases are created again


class Worker:
    """Everything that the tests of one process use. Each part is created at the first request.

    ``name`` is unique among the processes of the run.
    """

    def __init__(self, run: Run, settings: Settings, world: World, name: str) -> None:
        self.run, self.settings, self.world, self.name = run, settings, world, name
        self.parts: Mapping[Grid, Grid] = {}  # of the grids of which the run has only a part of the cells
        self.recorder = CoverageRecorder()
        self._stack = ExitStack()
        self._scratches = self._trials = 0
        self.in_trial = False  # the schema is broken on purpose: it matters only whether anything fails
        self._reused_databases: dict[bool, ReusedDatabase] = {}
        self._change: Change | None = None
        self._observer: CoverageObserver | None = None
        self._outcomes: GridOutcomes | None = None
        self._earlier: dict[int, Opened[Earlier]] = {}

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest of the templates. Waits until they are built."""
        manifest = wait_for_manifest(self.run)
        objects = [*manifest.of_kind("function", "view"), *manifest.open_by_name]
        self.recorder.watch_for(objects, manifest.overloads)
        self.world.missing = manifest.missing_rows
        return manifest

    @cached_property
    def phases(self) -> dict[int, migrations.Phase]:
        """The phases on disk, by number."""
        return {phase.number: phase for phase in migrations.of(self.settings)}

    @cached_property
    def connection(self) -> ServerConnection:
        """The superuser's connection to this process's clone."""
        manifest = self.manifest  # waits until there is a template to clone
        name = self._stack.enter_context(self.run.clone(self.run.template, self.name))
        connection = self._stack.enter_context(self.run.connect(name, "rolecall_db"))
        _prepare(connection, self.world)
        if self.settings.coverage:
            from rolecall.coverage.observer import CoverageObserver

            self._observer = CoverageObserver(connection, manifest, self.world, self.recorder)
            self._stack.enter_context(connection.reporting_to(self._observer.record_report))
        return connection

    # -- databases

    @contextmanager
    def session(self, phase: int | None = None) -> Iterator[Session]:
        """A session that is rolled back at the end of the block. Raises TransactionEndedError if it cannot be.

        With the number of an earlier phase, it is on the database after that phase, and nothing counts as covered.
        """
        if phase is None:
            with self._rolled_back():
                yield Session(self.connection, self.world.personas, self.recorder)
            return
        connection = self.earlier(phase).connection
        try:
            with rolled_back(connection):
                yield Session(connection, self.world.personas)
        except TransactionEndedError:
            self._earlier.pop(phase).close()
            raise

    def earlier(self, phase: int) -> Earlier:
        """The database after an earlier phase, created at the first request. Its changes must be rolled back."""
        if phase in self._earlier and self._earlier[phase].value.connection.closed:
            self._earlier.pop(phase).close()
        if phase not in self._earlier:
            from rolecall.database.earlier import earlier

            # From the files, not from self.phases: a trial replaces some of those.
            applied = [each for each in migrations.of(self.settings) if each.number <= phase]
            context = earlier(self.run, f"{self.name}_phase_{phase}", applied, self.manifest.role, self.world)
            self._earlier[phase] = Opened(context)
            _prepare(self._earlier[phase].value.connection, self.world)
        return self._earlier[phase].value

    @contextmanager
    def _rolled_back(self) -> Iterator[None]:
        """Roll the block back on this process's clone. If that fails, the clone is created again."""
        try:
            with rolled_back(self.connection):
                yield
        except TransactionEndedError:
            self._close_connection()
            raise

    @contextmanager
    def scratch(self, migrated: bool) -> Iterator[Scratch]:
        """A new database for the block, at the baseline or with all phases and the world."""
        with self._clone(migrated) as name, self.run.connect(name, "rolecall_scratch") as connection:
            if migrated and self._change:
                self._change(connection)
            yield self._scratch(name, connection)

    @contextmanager
    def rolled_back_scratch(self, migrated: bool) -> Iterator[Scratch]:
        """Like :meth:`scratch`, but on a database that this process reuses.

        The block is one transaction, which is rolled back at its end.
        """
        if migrated not in self._reused_databases:
            self._reused_databases[migrated] = ReusedDatabase(self.run, partial(self._clone, migrated))
        with self._reused_databases[migrated].rolled_back() as (name, connection):
            if migrated and self._change:
                self._change(connection)
            yield self._scratch(name, connection)

    def _clone(self, migrated: bool) -> AbstractContextManager[str]:
        self._scratches += 1
        return self.run.clone(self.run.template if migrated else self.run.baseline, f"{self.name}_{self._scratches}")

    def _scratch(self, name: str, connection: ServerConnection) -> Scratch:
        observer = None
        if self.settings.coverage:
            from rolecall.coverage.scripts import ScriptObserver

            observer = ScriptObserver(self.recorder)
        from rolecall.database.scratch import Scratch

        return Scratch(self.run, name, connection, self.phases, self.manifest.role, self.recorder, observer)

    # -- grids

    @property
    def outcomes(self) -> GridOutcomes:
        """The outcomes of the grids on this process's clone."""
        if self._outcomes is None or self._outcomes.connection is not self.connection:
            self._outcomes = GridOutcomes(self.connection, self.world)
        return self._outcomes

    def check_earlier(self, grid: Grid, phase: int) -> list[CellFailure]:
        """The cells that differ from the grid after an earlier phase, explained.

        Raises RolecallError if a row of the table could not be loaded, or if the table exists after other phases than
        the grid says. Before its table exists, a grid has no cells that differ.
        """
        connection, world = self.earlier(phase)
        exists = grid.table in world.rows
        if exists != (phase >= grid.from_phase):
            text = "exists" if exists else "does not exist"
            advice = f"from_phase={phase}" if exists else "from_phase=, the first phase that has the table"
            raise RolecallError(f"{grid.table} {text} after phase {phase}. If that is right, give its grid {advice}.")
        if not exists:
            return []
        for row in grid.rows:
            world.require(grid.table, row)
        expected = grid.after(phase)
        with rolled_back(connection):
            failures = GridOutcomes(connection, world).try_grid(expected)
            from rolecall.grids.explain import explain

            return [explain(connection, expected, cell, world, results) for cell, results in failures.items()]

    def check(self, grid: Grid, cell: Cell) -> CellFailure | None:
        """Compare the outcome of a cell with its grid. Returns the failure with its explanation, or None.

        Raises RolecallError if the cell's row could not be loaded.
        """
        connection = self.connection  # waits until the world is loaded
        self.world.require(grid.table, cell.row)
        tried = grid if self.in_trial else self.parts.get(grid, grid)
        is_first = not self.outcomes.knows(tried)
        failures = self.outcomes.failures(tried)
        if is_first:  # coverage of the whole grid belongs to no single cell: it counts if every cell passes
            self.recorder.finish(passed=not failures)
        self.recorder.add("cell", grid.table, cell.privilege, cell.persona)
        if cell in failures:
            from rolecall.grids.explain import explain

            return explain(connection, grid, cell, self.world, failures[cell])
        if self._observer:
            self._observer.record_cell(grid, cell)
        return None

    def verdicts(self, grid: Grid, row: str, persona: str) -> dict[str, str]:
        """What a persona may do with a row, by command. It may differ from the grid."""
        failures = self.outcomes.failures(grid)
        cells = [cell for cell in grid.cells if (cell.row, cell.persona) == (row, persona)]
        return {cell.command: verdict(failures[cell]) if cell in failures else cell.expected for cell in cells}

    @contextmanager
    def without_coverage(self) -> Iterator[ServerConnection]:
        """This process's connection for a block that is rolled back: what functions do in it does not count."""
        connection = self.connection  # waits until the world is loaded
        with rolled_back(connection):
            if self._observer:
                self._observer.restore_functions()
            yield connection

    def check_decided_by(self, grid: Grid, kind: str) -> Result:
        """Change what a grid does not name in ``decided_by``, one of ``KINDS``, and compare the verdicts."""
        from rolecall.noninterference import kinds
        from rolecall.noninterference.experiment import ENOUGH

        with self.without_coverage() as connection:
            result = kinds.check(connection, grid, self.world, kind, most=0 if self.in_trial else ENOUGH)
        for fact in result.facts(grid.table):
            self.recorder.add(*fact)
        return result

    def check_effects(self, grid: Grid) -> list[str]:
        """What the writes of a grid change besides, or do not change: a text for each write that differs."""
        from rolecall.grids.effects import GridEffects

        with rolled_back(self.connection):
            differences = GridEffects(self.connection, grid, self.world).differences()
            return list(islice(differences, 1) if self.in_trial else differences)

    def check_stored(self, grid: Grid) -> list[str]:
        """Which values that the personas of a grid write are stored in another way: a text for each."""
        from rolecall.noninterference.stored import ENOUGH, StoredValues

        with self.without_coverage() as connection:
            return StoredValues(connection, grid, self.world).differences(1 if self.in_trial else ENOUGH)

    # -- trials

    @contextmanager
    def trial(self, change: Change | None = None, scripts: Mapping[Path, Path] | None = None) -> Iterator[None]:
        """Run the block against a broken schema. Nothing in it counts towards the coverage.

        ``change`` breaks this process's clone and every migrated scratch database. ``scripts`` maps the path of a
        script to the path of its replacement.
        """
        self._trials += 1
        if self._trials % TRIALS == 0:
            self.close()
        connection = self.connection  # created first: its observer must use the current recorder
        original = self.recorder, self._observer, self._outcomes, self.phases
        observer, self._observer = self._observer, None
        self.recorder, self._outcomes = CoverageRecorder(), None
        self.phases = {number: phase.with_scripts(scripts or {}) for number, phase in self.phases.items()}
        self._change, self.in_trial = change, True
        try:
            with self._rolled_back():
                if observer:
                    observer.restore_functions()
                if change:
                    change(connection)
                yield
        finally:
            self.recorder, self._observer, self._outcomes, self.phases = original
            self._change, self.in_trial = None, False

    # -- connections

    @property
    def lost(self) -> bool:
        """Whether this process has lost a connection."""
        return self._connection_lost or any(database.lost for database in self._reused_databases.values())

    @property
    def _connection_lost(self) -> bool:
        return "connection" in self.__dict__ and self.connection.closed

    def renew(self) -> None:
        """Drop what has lost its connection. The next request creates a new database."""
        if self._connection_lost:
            self._close_connection()
        for database in self._reused_databases.values():
            if database.lost:
                database.close()

    def close(self) -> None:
        """Close the connections, and drop their databases. The next request creates new ones."""
        for database in self._reused_databases.values():
            database.close()
        for opened in self._earlier.values():
            opened.close()
        self._earlier.clear()
        self._close_connection()

    def _close_connection(self) -> None:
        self.__dict__.pop("connection", None)
        self._stack.close()


class Opened(Generic[T]):
    """A context that is open until :meth:`close`."""

    def __init__(self, context: AbstractContextManager[T]) -> None:
        self._stack = ExitStack()
        self.value = self._stack.enter_context(context)

    def close(self) -> None:
        """Leave the context."""
        self._stack.close()


def _prepare(connection: ServerConnection, world: World) -> None:
    """Prepare a connection for sessions and grids."""
    # A cached plan of one test would change the results of the next, or hide a mutant.
    connection.execute("SET plan_cache_mode = force_custom_plan")
    world.identities = identities(connection)
    initialize(connection, {*custom_settings(connection), *world.settings})
    prepare(connection)
    function.prepare(connection)
