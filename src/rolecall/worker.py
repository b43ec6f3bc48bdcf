"""What one process of a run holds: its clone of the template, one connection, and the grids' outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property, partial
from itertools import count, cycle, groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection

from rolecall.access.session import Session, custom_settings, settle
from rolecall.access.world import World
from rolecall.catalog import objects
from rolecall.coverage import plpgsql, policies
from rolecall.coverage.recorder import Exercised, Values
from rolecall.database import manifest
from rolecall.database.manifest import Manifest
from rolecall.database.rolled_back import EndedError, Lasting, undone
from rolecall.database.run import Run
from rolecall.database.scratch import Scratch
from rolecall.grids.explain import explain
from rolecall.grids.grid import Cell, Grid, verdict
from rolecall.grids.probe import AT_ONCE, Check, Checks, Outcome, prepare, probe
from rolecall.grids.refusal import with_refusers
from rolecall.server.connection import ServerConnection
from rolecall.settings import Settings
from rolecall.sql import migrations

Tried = list[tuple[Check, Outcome]]
Change = Callable[[Connection[Any]], None]


class Expecting:
    """The checks of a grid with what each is expected to give, and those that did not lately."""

    LATELY = 12

    def __init__(self, checks: list[tuple[Cell, Check]]) -> None:
        self.all = Checks(check for _, check in checks)
        self.lately = Checks([])
        self._cells = {id(check): cell for cell, check in checks}

    def cell(self, check: Check) -> Cell:
        """The cell that a check is of."""
        return self._cells[id(check)]

    def found(self, check: Check) -> None:
        """Note a check that failed: it will be among the first from now on."""
        others = [other for other in self.lately if other is not check]
        self.lately = Checks([check, *others][: self.LATELY])


class Worker:
    """Everything that tests ask for, made when the first of them does.

    ``name`` tells this process from the others of the run.
    """

    def __init__(self, run: Run, settings: Settings, world: World, name: str) -> None:
        self.run, self.settings, self.world, self.name = run, settings, world, name
        self.exercised = Exercised()
        self._stack = ExitStack()
        self._scratches = 0
        self._lasting: dict[bool, Lasting] = {}
        self._change: Change | None = None
        self._bodies: list[plpgsql.Body] = []
        self._proved: dict[Grid, dict[Cell, policies.Facts]] = {}
        self._expecting: dict[Grid, Expecting] = {}
        self._wrong: dict[Grid, dict[Cell, Tried]] = {}

    @cached_property
    def built(self) -> Manifest:
        """What stands in the templates; waits for them."""
        built = manifest.wait_for(self.run)
        self.exercised.watch_for(built.of_kind("function", "view"))
        return built

    @cached_property
    def phases(self) -> dict[int, migrations.Phase]:
        """The phases on disk, by number."""
        folder = self.settings.migrations
        return {phase.number: phase for phase in migrations.read(folder)} if folder else {}

    @cached_property
    def connection(self) -> Connection[Any]:
        """The superuser's connection to this process's clone."""
        assert self.built  # the template is there
        name = self._stack.enter_context(self.run.clone(self.run.template, self.name))
        connection = self._stack.enter_context(self.run.connect(name))
        # A plan that one test had cached would decide what another one sees, or hide what a mutant changed.
        connection.execute("SET plan_cache_mode = force_custom_plan")
        settle(connection, custom_settings(connection))
        prepare(connection)
        if self.settings.coverage:
            self._watch(connection)
        return connection

    def _watch(self, connection: Connection[Any]) -> None:
        """Have the functions of this process's clone report what they do, and look at what the world holds."""
        self._bodies = plpgsql.read(connection, plpgsql.called(connection, self.built))
        for body in self._bodies:
            connection.execute(body.instrumented.encode())
        connection.add_notice_handler(self._reported)
        self.exercised.look = Values(connection, self.built).look
        self.exercised.by_column = objects.granted_by_column(connection)
        self.exercised.look(self.exercised)

    def _reported(self, notice: psycopg.errors.Diagnostic) -> None:
        if fact := plpgsql.reported(notice.message_primary):
            self.exercised.add(*fact)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session whose whole work is undone at the end of the block. Raises EndedError if it could not be."""
        with self._undone():
            yield Session(self.connection, self.world.personas, self.exercised)

    @contextmanager
    def _undone(self) -> Iterator[None]:
        """A block whose work on this process's clone is undone; where that did not hold, the clone is made anew."""
        try:
            with undone(self.connection):
                yield
        except EndedError:
            self._stack.close()
            self.__dict__.pop("connection", None)
            raise

    @contextmanager
    def scratch(self, migrated: bool) -> Iterator[Scratch]:
        """A database of its own: as the baseline left it, or with all phases and the world."""
        with self._clone(migrated) as name, self.run.connect(name) as connection:
            if migrated and self._change:
                self._change(connection)
            yield self._scratch(name, connection)

    @contextmanager
    def undone_scratch(self, migrated: bool) -> Iterator[Scratch]:
        """As :meth:`scratch`, in a transaction on a database that this process keeps: all of it is undone."""
        if migrated not in self._lasting:
            self._lasting[migrated] = Lasting(self.run, partial(self._clone, migrated))
        with self._lasting[migrated].undone() as (name, connection):
            if migrated and self._change:
                self._change(connection)
            yield self._scratch(name, connection)

    def _clone(self, migrated: bool) -> AbstractContextManager[str]:
        self._scratches += 1
        return self.run.clone(self.run.template if migrated else self.run.baseline, f"{self.name}_{self._scratches}")

    def _scratch(self, name: str, connection: ServerConnection) -> Scratch:
        return Scratch(self.run, name, connection, self.phases, self.built.role, self.exercised)

    @contextmanager
    def trial(self, change: Change | None = None, scripts: Mapping[Path, Path] | None = None) -> Iterator[None]:
        """Everything in the block meets something broken: a change of the database (and of each scratch
        that is migrated), or scripts in place of others. Nothing in it counts as exercised."""
        assert self.connection  # what is watched for is set before another takes its place
        kept = self.exercised, self._wrong, self.phases
        self.exercised, self._wrong = Exercised(), {}
        self.phases = {number: phase.with_scripts(scripts or {}) for number, phase in self.phases.items()}
        self._change = change
        try:
            with self._undone():
                for body in self._bodies:  # what is broken must not depend on who watches
                    self.connection.execute(body.original.encode())
                if change:
                    change(self.connection)
                yield
        finally:
            self.exercised, self._wrong, self.phases = kept
            self._change = None

    def wrong(self, grid: Grid) -> dict[Cell, Tried]:
        """The cells that are not as a grid says, with what came of them: all are tried at the first question."""
        if grid not in self._wrong:
            self._wrong[grid] = self._try(grid)
            # What the whole grid has reached is no single cell's: it counts if all of them are as written.
            self.exercised.settle(passed=not self._wrong[grid])
        return self._wrong[grid]

    def _try(self, grid: Grid) -> dict[Cell, Tried]:
        wrong: dict[Cell, Tried] = {}
        with self.connection.transaction(force_rollback=True):
            for cell, tried in groupby(self._outcomes(grid), key=itemgetter(0)):
                came = [(check, outcome) for _, check, outcome in tried]
                if verdict(outcome for _, outcome in came) != cell.expected:
                    wrong[cell] = came
        return wrong

    def _outcomes(self, grid: Grid) -> Iterator[tuple[Cell, Check, Outcome]]:
        """What came of each check, a call's worth in memory at a time. Those who need something to be so before
        come last, one after the other: it is made so once for all."""
        for special in (False, True):
            checks = (each for each in grid.all_checks(self.world) if bool(each[1].persona.setup) is special)
            while batch := list(islice(checks, AT_ONCE)):
                for (cell, check), outcome in zip(batch, self._probe([check for _, check in batch]), strict=True):
                    yield cell, check, outcome

    def tried(self, grid: Grid, cell: Cell) -> Tried:
        """What comes of the checks of one cell, as the database is now."""
        checks = grid.checks(cell, self.world)
        with self.connection.transaction(force_rollback=True):
            return list(zip(checks, self._probe(checks), strict=True))

    def _probe(self, checks: list[Check]) -> list[Outcome]:
        return with_refusers(self.connection, zip(checks, probe(self.connection, checks), strict=True))

    def mismatches(self, grid: Grid) -> list[Cell]:
        """Every cell that is not as its grid says, as the database is now, in the grid's order."""
        return sorted(self._try(grid), key=grid.cells.index)

    def wrong_anyway(self, grid: Grid) -> Cell | None:
        """The first cell that is not as its grid says where nothing was broken; tried once."""
        return min(self.wrong(grid), key=grid.cells.index, default=None)

    def first_mismatch(self, grid: Grid, *, lately: bool) -> Cell | None:
        """The first cell that is not as its grid says, of those that were found so lately or of all;
        what stands behind it is not tried."""
        if grid not in self._expecting:
            self._expecting[grid] = Expecting(self._checks(grid))
        expecting = self._expecting[grid]
        checks: Sequence[Check] = expecting.lately if lately else expecting.all
        while checks:
            tried = zip(count(1), checks, probe(self.connection, checks), strict=False)
            number, check = next(
                ((n, c) for n, c, o in tried if o.words and "/".join(o.words) != c.expected), (0, None)
            )
            if check is None:
                return None
            cell = expecting.cell(check)
            if verdict(outcome for _, outcome in self.tried(grid, cell)) != cell.expected:
                expecting.found(check)
                return cell
            checks = checks[number:]  # its ways come to what is written, each by itself to something else
        return None

    def _checks(self, grid: Grid) -> list[tuple[Cell, Check]]:
        expected: list[tuple[Cell, Check]] = []
        for cell, found in groupby(grid.all_checks(self.world), key=itemgetter(0)):
            checks = [check for _, check in found]
            words = cell.expected.split("/") if len(checks) > 1 else [cell.expected]
            expected += [
                (cell, replace(check, expected=word)) for check, word in zip(checks, cycle(words), strict=False)
            ]
        return expected

    def judge(self, grid: Grid, cell: Cell) -> str | None:
        """None if the cell is as the grid says; otherwise why not, in words."""
        wrong = self.wrong(grid)
        command = cell.command if cell.command in ("select", "insert", "delete") else "update"
        self.exercised.add("cell", grid.table, command, cell.persona)
        if cell in wrong:
            return explain(self.connection, grid, cell, self.world, wrong[cell])
        if self.exercised.look:
            self._count(grid, cell, command)
        return None

    def _count(self, grid: Grid, cell: Cell, command: str) -> None:
        """Note what a cell proves that is as written: of policies and of grants."""
        if grid not in self._proved:
            self._proved[grid] = policies.facts(self.connection, grid, self.world)
        for fact in self._proved[grid][cell]:
            self.exercised.add(*fact)
        if "yes" in cell.expected.split("/"):
            role = self.world.personas[cell.persona].role
            self.exercised.add("used", grid.table, command, role)
            self.exercised.touched(grid.checks(cell, self.world)[0].statement, role)

    @property
    def lost(self) -> bool:
        """Whether a connection of this process is gone."""
        return self._lost or any(lasting.lost for lasting in self._lasting.values())

    @property
    def _lost(self) -> bool:
        return "connection" in self.__dict__ and self.connection.closed

    def renew(self) -> None:
        """Let go of what has lost its connection: what asks for it next has another database."""
        if self._lost:
            self.__dict__.pop("connection")
            self._stack.close()
        for lasting in self._lasting.values():
            if lasting.lost:
                lasting.close()

    def close(self) -> None:
        """Close the connections; the databases go with the run."""
        for lasting in self._lasting.values():
            lasting.close()
        self._stack.close()
