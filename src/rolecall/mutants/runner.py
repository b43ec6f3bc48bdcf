"""The mutants as pytest items, so that ``-n 2`` distributes them. Each is applied and tried in a transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg import Connection, sql

from rolecall.defects.trial import NotCaughtError, TrialItem
from rolecall.errors import RolecallError
from rolecall.grids.grid import Cell, Grid
from rolecall.mutants import history, ranking
from rolecall.mutants.declarations import Declarations
from rolecall.mutants.operators.operator import Mutant, Operator
from rolecall.mutants.selection import RelevantTests, Suite, grid_of
from rolecall.mutants.survivors import OUT_OF_REACH, PROPERTY, Surviving
from rolecall.mutants.witness import Witnesses
from rolecall.report import terminal
from rolecall.report.results import MUTANTS, Survivor
from rolecall.worker import Worker

# User properties, which a worker sends to the terminal: the outcome, and the test that killed the mutant.
OUTCOME, KILLER = "rolecall mutant", "rolecall killer"


class InvalidError(RolecallError):
    """The server refused the mutant's statements, so that the mutant proves nothing."""


class Killer(NamedTuple):
    """What noticed a mutant: a cell, whose ``id`` has the name of its file, or a test.

    ``nodeid`` is pytest's id. ``is_pin``: the test has the mark ``rolecall_pin``.
    """

    id: str
    nodeid: str
    test: pytest.Item | None = None
    is_pin: bool = False


class SurvivedError(NotCaughtError):
    """No test killed the mutant, or only a pin and the mutant is not declared."""

    def __init__(self, survivor: Survivor) -> None:
        super().__init__(terminal.survivor(survivor))
        self.survivor = survivor


class MutantItem(TrialItem):
    """Passes if the behaviour of the schema shows the mutant, or if it does what a declaration says of it."""

    def __init__(
        self,
        *,
        mutant: Mutant,
        operator: Operator,
        suite: Suite,
        declarations: Declarations,
        witnesses: Witnesses,
        last_killer: str,
        **kwargs: Any,
    ) -> None:
        """``last_killer`` is the id of what killed the mutant in an earlier run, or empty."""
        super().__init__(**kwargs)
        self.mutant, self.operator, self.suite, self.declarations = mutant, operator, suite, declarations
        self.witnesses, self.last_killer = witnesses, last_killer
        self.noticed_by = ""  # the id of the test that noticed it
        self.reason = ""  # why it is equivalent or invalid, or what noticed it besides behaviour

    def reportinfo(self) -> tuple[Path, None, str]:
        """The id of the mutant as its title."""
        return self.config.rootpath, None, self.mutant.id

    def try_out(self, worker: Worker, nextitem: pytest.Item | None) -> None:
        """Apply the mutant, try the grids, run the tests, roll back. Raises NotCaughtError for a survivor."""
        relevant = self.suite.relevant_tests(self.mutant)
        declared = self.declarations.of(self.mutant.id)
        self.role = worker.manifest.role
        try:
            killer = self.killer(worker, relevant, nextitem)
        except InvalidError as error:
            self.user_properties.append((OUTCOME, "invalid"))
            self.reason = str(error)
            if declared:
                text = f"{declared.path}: {self.mutant.id} is invalid: remove it.\n{error}"
                raise NotCaughtError(text) from None
            return
        noticed = "survived" if killer is None else "pinned" if killer.is_pin else "killed"
        word = declared.word if declared else "equivalent" if self.mutant.out_of_reach and not killer else ""
        outcome = word if word == "equivalent" and not killer else noticed
        self.user_properties += [(KILLER, killer.id if killer else ""), (OUTCOME, outcome)]
        self.user_properties.append((history.KILLED_BY, killer.nodeid if killer and outcome == "killed" else ""))
        self.noticed_by = killer.nodeid if killer else ""
        if outcome == "equivalent":
            self.reason = declared.reason if declared else self.mutant.out_of_reach
        elif outcome == "pinned" and killer:
            self.reason = f"only a pin noticed it: {killer.id}{f' ({declared.reason})' if declared else ''}"
        if outcome == "equivalent" and not declared:
            self.user_properties.append((OUT_OF_REACH, self.mutant.out_of_reach))
        if outcome == (word or "killed"):
            return
        if killer and declared:
            text = f"{self.mutant.id} is declared {word} ({declared.reason}), but {killer.id} kills it. Remove it."
            raise NotCaughtError(f"{declared.path}: {text}")
        surviving = self.surviving(worker)
        self.user_properties.append((PROPERTY, surviving.as_text()))
        raise SurvivedError(self.survivor(relevant, killer, surviving.notice))

    def killer(self, worker: Worker, relevant: RelevantTests, nextitem: pytest.Item | None) -> Killer | None:
        """The first cell or test that fails because of the mutant, or None. Pins come last."""
        for grid in relevant.grids:
            for cell in worker.outcomes.failures(grid):
                text = f"{grid.path.name}: {cell.id} fails without the mutant too: it proves nothing."
                raise RolecallError(text)
        with self.applied(worker):
            killer = next(filter(None, self.searches(worker, relevant, nextitem)), None)
        if killer and killer.test:
            relevant.put_first(killer.test, self.mutant)
            if self.suite.fails_without_mutant(killer.test, nextitem):
                raise RolecallError(f"{killer.id} fails without the mutant too: it proves nothing.")
        return killer

    @contextmanager
    def applied(self, worker: Worker) -> Iterator[None]:
        """Apply the mutant for a block: in the database, or in place of a script."""
        if not self.mutant.script:
            with worker.trial(self.apply):
                yield
            return
        path = self.mutant.script.path
        with TemporaryDirectory() as folder:
            replacement = Path(folder) / path.name
            replacement.write_text(self.mutant.sql, encoding="utf-8")
            with worker.trial(scripts={path: replacement}):
                yield

    def searches(
        self, worker: Worker, relevant: RelevantTests, nextitem: pytest.Item | None
    ) -> Iterator[Killer | None]:
        """The result of each search for a killer: the last one, what failed recently, then grids and tests, then pins.

        All cells of the grids come before the tests for an operator that they are most likely to notice. Tests of whole
        grids come in turn with the others then, since they are slow, and after them otherwise.
        """
        mutant, behaviour, tried = self.mutant, relevant.behaviour, set[pytest.Item]()
        by_grid = self.operator.by_grid

        def run(tests: list[pytest.Item], *, are_pins: bool = False) -> Killer | None:
            new = [test for test in dict.fromkeys(tests) if test not in tried]
            tried.update(new)
            test = self.suite.first_failing(new, nextitem)
            return Killer(test.nodeid, test.nodeid, test, are_pins) if test else None

        yield self.last_cell(worker, relevant)
        yield run([test for test in behaviour.tests if test.nodeid == self.last_killer])
        yield self.failing_cell(worker, relevant, recent=True)
        yield run(behaviour.killers_of_same_change(mutant, only_quick=by_grid))
        yield run(behaviour.recent_killers(mutant, only_quick=by_grid))
        if not by_grid and self.tries_every_test(worker):
            yield run([test for test in behaviour.in_turn(mutant) if not grid_of(test)])
        yield self.failing_cell(worker, relevant, recent=False)
        yield run(behaviour.killers_of_same_change(mutant))
        yield run(behaviour.recent_killers(mutant))
        if self.tries_every_test(worker):
            yield run(behaviour.in_turn(mutant))
        yield run(relevant.pins.recent_killers(mutant), are_pins=True)
        yield run(relevant.pins.in_turn(mutant), are_pins=True)

    def tries_every_test(self, worker: Worker) -> bool:
        """Whether every test of behaviour is tried. A declared mutant passes them all, which takes long."""
        return worker.settings.mutants_declared or not self.declarations.of(self.mutant.id)

    def last_cell(self, worker: Worker, relevant: RelevantTests) -> Killer | None:
        """The cell that killed the mutant in an earlier run, if it fails again."""
        item = self.suite.cell_of(self.last_killer)
        if item is None or item.grid not in relevant.grids:
            return None
        fails = self.suite.first_failure(item.grid, worker.world).fails(worker.connection, item.cell)
        return self.cell_killer(item.grid, item.cell) if fails else None

    def failing_cell(self, worker: Worker, relevant: RelevantTests, *, recent: bool) -> Killer | None:
        """The first cell that fails."""
        for grid in relevant.grids:
            if cell := self.suite.first_failure(grid, worker.world).find(worker.connection, recent=recent):
                return self.cell_killer(grid, cell)
        return None

    def cell_killer(self, grid: Grid, cell: Cell) -> Killer:
        """A cell as the killer."""
        return Killer(f"{grid.path.name}: {cell.id}", self.suite.nodeid(grid, cell))

    def apply(self, connection: Connection[Any]) -> None:
        """Run the mutant's statements as the migration role. Raises InvalidError if the server refuses them."""
        try:
            with connection.transaction():
                if self.role:
                    connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(self.role)))
                connection.execute(self.mutant.sql.encode())
                connection.execute("RESET ROLE")
        except psycopg.Error as error:
            raise InvalidError(f"{error.sqlstate} {error.diag.message_primary}") from None

    def surviving(self, worker: Worker) -> Surviving:
        """Who gains what with this mutant, and what would notice it. The mutant is applied once more."""
        mutant, witnesses, found, row = self.mutant, self.witnesses, None, ""
        gain = ranking.effective(mutant, witnesses.schema, worker.manifest.protected)
        if not mutant.script and (gain or self.operator.by_grid or mutant.target.kind == "function"):
            tables = self.suite.tables_of(mutant.concerns)
            witnesses.prepare(tables)
            with self.applied(worker):
                found = witnesses.difference(tables)
            row = "" if found else witnesses.row_for(mutant)
        return ranking.surviving(self.operator, mutant, found, row, gain, witnesses)

    def survivor(self, relevant: RelevantTests, pin: Killer | None, notice: str) -> Survivor:
        """The survivor for the report; ``pin`` is what noticed it all the same, ``notice`` what would notice it."""
        modules = Counter(str(test.path.relative_to(self.config.rootpath)) for test in relevant.tests)
        return Survivor(
            id=self.mutant.id,
            target=str(self.mutant.target),
            change=self.mutant.what,
            operator=self.operator.name,
            description=" ".join((type(self.operator).__doc__ or "").split()),
            stands_for=self.operator.stands_for,
            before=self.mutant.before,
            after=self.mutant.sql,
            cells=sum(len(grid.cells) for grid in relevant.grids),
            tests=dict(modules),  # dataclasses.asdict cannot copy a Counter
            catches=notice,
            pin=pin.id if pin else "",
        )


def items(
    session: pytest.Session,
    mutants: Iterable[tuple[Operator, Mutant]],
    suite: Suite,
    declarations: Declarations,
    witnesses: Witnesses,
) -> list[MutantItem]:
    """An item for each mutant. A number makes equal ids unique."""
    last_killers = history.read(session.config)
    result, ids = [], Counter[str]()
    for operator, mutant in mutants:
        ids[mutant.id] += 1
        if ids[mutant.id] > 1:
            mutant = replace(mutant, what=f"{mutant.what} ({ids[mutant.id]})")
        result.append(
            MutantItem.from_parent(
                session,
                name=mutant.id,
                nodeid=f"{MUTANTS}{mutant.id}",
                mutant=mutant,
                operator=operator,
                suite=suite,
                declarations=declarations,
                witnesses=witnesses,
                last_killer=last_killers.get(mutant.id, ""),
            )
        )
    return result
