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
from rolecall.mutants.selection import Concern, Suite
from rolecall.worker import Worker

# User properties, which travel from a worker to the terminal: an outcome, and the test that brought it about.
OUTCOME, KILLER = "rolecall mutant", "rolecall killer"


class InvalidError(RolecallError):
    """The server did not take the mutant's statement: it proves nothing, either way."""


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
        """Break the schema, look at the grids, run the tests, undo it."""
        concern = self.suite.concerning(self.mutant)
        declared = self.equivalents.reason(self.mutant.id)
        self.role = worker.built.role
        try:
            killer = self.killer(worker, concern, nextitem)
        except InvalidError as error:
            self.user_properties.append((OUTCOME, "invalid"))
            if declared:
                raise NotNoticedError(
                    f"{self.equivalents.path}: {self.mutant.id} is invalid: take it out.\n{error}"
                ) from None
            return
        self.user_properties.append((KILLER, killer or ""))
        self.user_properties.append((OUTCOME, "killed" if killer else "equivalent" if declared else "survived"))
        if killer and declared:
            raise NotNoticedError(
                f"declared equivalent ({declared}), and yet {killer} tells it apart: {self.mutant.id}"
            )
        if not killer and not declared:
            raise NotNoticedError(self.survivor(concern))

    def killer(self, worker: Worker, concern: Concern, nextitem: pytest.Item | None) -> str | None:
        """The id of the first cell or test that notices; None if none does."""
        for grid in concern.grids:
            if wrong := worker.wrong_anyway(grid):
                told = f"{grid.path.name}: {wrong.id} is not as written without the mutant too: it proves nothing."
                raise RolecallError(told)
        with self.broken(worker):
            cell, killer = self.look(worker, concern, nextitem)
        if killer is None:
            return cell
        concern.first(killer)
        if self.suite.fails_anyway(killer, nextitem):
            raise RolecallError(f"{killer.nodeid} fails without the mutant too: it proves nothing.")
        return killer.nodeid

    @contextmanager
    def broken(self, worker: Worker) -> Iterator[None]:
        """The mutant, for a block: in the database, or in place of a script."""
        if not self.mutant.script:
            with worker.trial(self.apply):
                yield
            return
        with TemporaryDirectory() as folder:
            stand_in = Path(folder) / self.mutant.script.name
            stand_in.write_text(self.mutant.sql, encoding="utf-8")
            with worker.trial(scripts={self.mutant.script: stand_in}):
                yield

    def look(
        self, worker: Worker, concern: Concern, nextitem: pytest.Item | None
    ) -> tuple[str | None, pytest.Item | None]:
        """The first cell or the first test that notices: those that did lately before all others."""
        for lately, tests in ((True, concern.lately), (False, concern.in_turn)):
            cell = self.mismatch(worker, concern, lately=lately) if lately or self.operator.by_grid else None
            killer = None if cell else self.suite.first_to_notice(tests(self.mutant), nextitem)
            if cell or killer:
                return cell, killer
        return None if self.operator.by_grid else self.mismatch(worker, concern, lately=False), None

    def mismatch(self, worker: Worker, concern: Concern, *, lately: bool) -> str | None:
        """The first cell of the grids that is not as written."""
        cells = ((grid, worker.first_mismatch(grid, lately=lately)) for grid in concern.grids)
        return next((f"{grid.path.name}: {cell.id}" for grid, cell in cells if cell), None)

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

    def survivor(self, concern: Concern) -> str:
        """What is said of a mutant that nobody noticed."""
        cells = sum(len(grid.cells) for grid in concern.grids)
        modules = Counter(test.path.relative_to(self.config.rootpath) for test in concern.tests)
        ran = ", ".join(f"{path} ({count})" for path, count in modules.items()) or "none"
        return "\n".join(
            [
                f"survived: {self.mutant.object}: {self.mutant.what}",
                f"  operator    {self.operator.name}: {' '.join((type(self.operator).__doc__ or '').split())}",
                f"  stands for  {self.operator.stands_for}",
                f"  before      {self.mutant.before}",
                f"  after       {self.mutant.sql}",
                f"  tried       {cells} cells; tests: {ran}",
                f"  would tell  {self.operator.catches}",
                f"  or declare  {self.mutant.id} :: why nobody could tell",
            ]
        )


def items(
    session: pytest.Session, mutants: Iterable[tuple[Operator, Mutant]], suite: Suite, equivalents: Equivalents
) -> list[MutantItem]:
    """An item for each mutant; a number tells those apart that would have one id."""
    made, seen = [], Counter[str]()
    for operator, mutant in mutants:
        seen[mutant.id] += 1
        if seen[mutant.id] > 1:
            mutant = replace(mutant, what=f"{mutant.what} ({seen[mutant.id]})")
        made.append(
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
    return made
