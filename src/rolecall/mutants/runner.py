"""The mutants as pytest items, so that ``-n 2`` distributes them. Each is applied and tried in a transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from psycopg import Connection, sql

from rolecall.defects.trial import NotCaughtError, TrialItem
from rolecall.errors import RolecallError
from rolecall.mutants.equivalents import Equivalents
from rolecall.mutants.operators.operator import Mutant, Operator
from rolecall.mutants.selection import RelevantTests, Suite
from rolecall.report import terminal
from rolecall.report.results import Survivor
from rolecall.worker import Worker

# User properties, which a worker sends to the terminal: the outcome, and the test that killed the mutant.
OUTCOME, KILLER = "rolecall mutant", "rolecall killer"


class InvalidError(RolecallError):
    """The server refused the mutant's statements, so that the mutant proves nothing."""


class SurvivedError(NotCaughtError):
    """No test killed the mutant."""

    def __init__(self, survivor: Survivor) -> None:
        super().__init__(terminal.survivor(survivor))
        self.survivor = survivor


class MutantItem(TrialItem):
    """Passes if a test kills the mutant. Fails if it survives, or if it is declared equivalent and a test kills it."""

    def __init__(
        self, *, mutant: Mutant, operator: Operator, suite: Suite, equivalents: Equivalents, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.mutant, self.operator, self.suite, self.equivalents = mutant, operator, suite, equivalents

    def reportinfo(self) -> tuple[Path, None, str]:
        """The id of the mutant as its title."""
        return self.config.rootpath, None, self.mutant.id

    def try_out(self, worker: Worker, nextitem: pytest.Item | None) -> None:
        """Apply the mutant, try the grids, run the tests, roll back. Raises NotCaughtError for a survivor."""
        relevant = self.suite.relevant_tests(self.mutant)
        reason = self.equivalents.reason(self.mutant.id)
        self.role = worker.manifest.role
        try:
            killer = self.killer(worker, relevant, nextitem)
        except InvalidError as error:
            self.user_properties.append((OUTCOME, "invalid"))
            if reason:
                text = f"{self.equivalents.path}: {self.mutant.id} is invalid: remove it.\n{error}"
                raise NotCaughtError(text) from None
            return
        self.user_properties.append((KILLER, killer or ""))
        self.user_properties.append((OUTCOME, "killed" if killer else "equivalent" if reason else "survived"))
        if killer and reason:
            text = f"{self.mutant.id} is declared equivalent ({reason}), but {killer} kills it."
            raise NotCaughtError(f"{self.equivalents.path}: {text} Remove it.")
        if not killer and not reason:
            raise SurvivedError(self.survivor(relevant))

    def killer(self, worker: Worker, relevant: RelevantTests, nextitem: pytest.Item | None) -> str | None:
        """The id of the first cell or test that fails because of the mutant, or None."""
        for grid in relevant.grids:
            for cell in worker.outcomes.failures(grid):
                text = f"{grid.path.name}: {cell.id} fails without the mutant too: it proves nothing."
                raise RolecallError(text)
        with self.applied(worker):
            cell_id, killer = self.first_failure(worker, relevant, nextitem)
        if killer is None:
            return cell_id
        relevant.put_first(killer)
        if self.suite.fails_without_mutant(killer, nextitem):
            raise RolecallError(f"{killer.nodeid} fails without the mutant too: it proves nothing.")
        return killer.nodeid

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

    def first_failure(
        self, worker: Worker, relevant: RelevantTests, nextitem: pytest.Item | None
    ) -> tuple[str | None, pytest.Item | None]:
        """The first failure, as the id of a cell or as a test: recent killers run before all others."""
        for recent, tests in ((True, relevant.recent_killers), (False, relevant.in_turn)):
            cell_id = self.failing_cell(worker, relevant, recent=recent) if recent or self.operator.by_grid else None
            killer = None if cell_id else self.suite.first_failing(tests(self.mutant), nextitem)
            if cell_id or killer:
                return cell_id, killer
        return None if self.operator.by_grid else self.failing_cell(worker, relevant, recent=False), None

    def failing_cell(self, worker: Worker, relevant: RelevantTests, *, recent: bool) -> str | None:
        """The id of the first cell that fails."""
        for grid in relevant.grids:
            if cell := self.suite.first_failure(grid, worker.world).find(worker.connection, recent=recent):
                return f"{grid.path.name}: {cell.id}"
        return None

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

    def survivor(self, relevant: RelevantTests) -> Survivor:
        """The survivor for the report."""
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
            tests=modules,
            catches=self.operator.catches,
        )


def items(
    session: pytest.Session, mutants: Iterable[tuple[Operator, Mutant]], suite: Suite, equivalents: Equivalents
) -> list[MutantItem]:
    """An item for each mutant. A number makes equal ids unique."""
    result, ids = [], Counter[str]()
    for operator, mutant in mutants:
        ids[mutant.id] += 1
        if ids[mutant.id] > 1:
            mutant = replace(mutant, what=f"{mutant.what} ({ids[mutant.id]})")
        result.append(
            MutantItem.from_parent(
                session,
                name=mutant.id,
                nodeid=f"mutants::{mutant.id}",
                mutant=mutant,
                operator=operator,
                suite=suite,
                equivalents=equivalents,
            )
        )
    return result
