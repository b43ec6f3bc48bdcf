"""Running mutants: each is a pytest item, broken and tried inside a transaction, so that ``-n 2`` shares them out."""

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

from rolecall.defects.trial import NotNoticedError, TrialItem
from rolecall.errors import RolecallError
from rolecall.mutants.equivalents import Equivalents
from rolecall.mutants.operators.operator import Mutant, Operator
from rolecall.mutants.selection import RelevantTests, Suite
from rolecall.report import terminal
from rolecall.report.results import Survivor
from rolecall.worker import Worker

# User properties, which travel from a worker to the terminal: an outcome, and the test that brought it about.
OUTCOME, KILLER = "rolecall mutant", "rolecall killer"


class InvalidError(RolecallError):
    """The server refused the mutant's statement: it proves nothing."""


class SurvivedError(NotNoticedError):
    """A mutant that no test noticed."""

    def __init__(self, survivor: Survivor) -> None:
        super().__init__(terminal.survivor(survivor))
        self.survivor = survivor


class MutantItem(TrialItem):
    """Passes if a test notices the mutant; fails if it survives, or was declared equivalent and is not."""

    def __init__(
        self, *, mutant: Mutant, operator: Operator, suite: Suite, equivalents: Equivalents, **rest: Any
    ) -> None:
        super().__init__(**rest)
        self.mutant, self.operator, self.suite, self.equivalents = mutant, operator, suite, equivalents

    def reportinfo(self) -> tuple[Path, None, str]:
        """What is broken."""
        return self.config.rootpath, None, self.mutant.id

    def try_out(self, worker: Worker, nextitem: pytest.Item | None) -> None:
        """Break the schema, try the grids, run the tests, roll it back. Raises NotNoticedError for a survivor."""
        relevant = self.suite.relevant_tests(self.mutant)
        declared = self.equivalents.reason(self.mutant.id)
        self.role = worker.manifest.role
        try:
            killer = self.killer(worker, relevant, nextitem)
        except InvalidError as error:
            self.user_properties.append((OUTCOME, "invalid"))
            if declared:
                text = f"{self.equivalents.path}: {self.mutant.id} is invalid: remove it.\n{error}"
                raise NotNoticedError(text) from None
            return
        self.user_properties.append((KILLER, killer or ""))
        self.user_properties.append((OUTCOME, "killed" if killer else "equivalent" if declared else "survived"))
        if killer and declared:
            text = f"{self.mutant.id} is declared equivalent ({declared}), and {killer} kills it."
            raise NotNoticedError(f"{self.equivalents.path}: {text} Remove it.")
        if not killer and not declared:
            raise SurvivedError(self.survivor(relevant))

    def killer(self, worker: Worker, relevant: RelevantTests, nextitem: pytest.Item | None) -> str | None:
        """The id of the first cell or test that fails because of the mutant; None if none does."""
        for grid in relevant.grids:
            for cell in worker.outcomes.failures(grid):
                text = f"{grid.path.name}: {cell.id} fails without the mutant too: it proves nothing."
                raise RolecallError(text)
        with self.broken(worker):
            cell_id, killer = self.first_failure(worker, relevant, nextitem)
        if killer is None:
            return cell_id
        relevant.put_first(killer)
        if self.suite.fails_without_mutant(killer, nextitem):
            raise RolecallError(f"{killer.nodeid} fails without the mutant too: it proves nothing.")
        return killer.nodeid

    @contextmanager
    def broken(self, worker: Worker) -> Iterator[None]:
        """The mutant, for a block: in the database, or in place of a script."""
        if not self.mutant.script:
            with worker.trial(self.apply):
                yield
            return
        path = self.mutant.script.path
        with TemporaryDirectory() as folder:
            changed = Path(folder) / path.name
            changed.write_text(self.mutant.sql, encoding="utf-8")
            with worker.trial(scripts={path: changed}):
                yield

    def first_failure(
        self, worker: Worker, relevant: RelevantTests, nextitem: pytest.Item | None
    ) -> tuple[str | None, pytest.Item | None]:
        """The id of the first cell or the first test that fails: recent killers before all others."""
        for recent, tests in ((True, relevant.recent_killers), (False, relevant.in_turn)):
            cell_id = self.failing_cell(worker, relevant, recent=recent) if recent or self.operator.by_grid else None
            killer = None if cell_id else self.suite.first_to_notice(tests(self.mutant), nextitem)
            if cell_id or killer:
                return cell_id, killer
        return None if self.operator.by_grid else self.failing_cell(worker, relevant, recent=False), None

    def failing_cell(self, worker: Worker, relevant: RelevantTests, *, recent: bool) -> str | None:
        """The id of the first cell of the grids that is not as written."""
        for grid in relevant.grids:
            if cell := self.suite.first_failure(grid, worker.world).find(worker.connection, recent=recent):
                return f"{grid.path.name}: {cell.id}"
        return None

    def apply(self, connection: Connection[Any]) -> None:
        """Run the mutant's statements as the migration role. Raises InvalidError if they are refused."""
        try:
            with connection.transaction():
                if self.role:
                    connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(self.role)))
                connection.execute(self.mutant.sql.encode())
                connection.execute("RESET ROLE")
        except psycopg.Error as error:
            raise InvalidError(f"{error.sqlstate} {error.diag.message_primary}") from None

    def survivor(self, relevant: RelevantTests) -> Survivor:
        """The mutant that no test noticed."""
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
    """An item for each mutant; a number tells those apart that would have one id."""
    found, seen = [], Counter[str]()
    for operator, mutant in mutants:
        seen[mutant.id] += 1
        if seen[mutant.id] > 1:
            mutant = replace(mutant, what=f"{mutant.what} ({seen[mutant.id]})")
        found.append(
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
    return found
