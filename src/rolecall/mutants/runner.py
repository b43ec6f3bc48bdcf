"""Running mutants: each is a pytest item, broken and tried inside a transaction, so that ``-n 2`` shares them out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection, sql

from rolecall.errors import RolecallError
from rolecall.grid import Grid
from rolecall.mutants.equivalents import Equivalents
from rolecall.mutants.model import Mutant, Operator
from rolecall.trial import NotNoticedError, TrialItem, first_to_notice
from rolecall.worker import Worker

# User properties, which travel from a worker to the terminal: an outcome, and the test that brought it about.
OUTCOME, KILLER = "rolecall mutant", "rolecall killer"


class InvalidError(RolecallError):
    """The server did not take the mutant's statement: it proves nothing, either way."""


@dataclass
class Concern:
    """The tests that concern one object; those that noticed something lately come first.

    What has killed one mutant of an object often kills the next, so most mutants cost a few statements.
    """

    grids: list[Grid]
    tests: list[pytest.Item]

    def first(self, killer: pytest.Item) -> None:
        """Let a test be the first from now on."""
        self.tests.remove(killer)
        self.tests.insert(0, killer)


class Suite:
    """The tests that mutants are tried against, and which of them concern an object."""

    def __init__(self, grids: list[Grid], tests: list[pytest.Item]) -> None:
        self.grids = grids
        self.modules: dict[Path, list[pytest.Item]] = {}
        for test in tests:
            self.modules.setdefault(test.path, []).append(test)
        self.sources = {path: path.read_text(encoding="utf-8") for path in self.modules}
        self._concerns: dict[str, Concern] = {}

    def concerning(self, name: str) -> Concern:
        """The grids of a table, and the tests of every module whose text names it (or a view, or a
        function) or is about every one; those of the module that bears its name come first."""
        if name not in self._concerns:
            bare = name.rpartition(".")[2]
            paths = [path for path in self.modules if self._is_about(path, bare)]
            paths.sort(key=lambda path: (path.stem != f"test_{bare}", path.stem.startswith("test_every"), path))
            tests = [test for path in paths for test in self.modules[path]]
            self._concerns[name] = Concern([grid for grid in self.grids if grid.table == name], tests)
        return self._concerns[name]

    def _is_about(self, path: Path, bare: str) -> bool:
        named = re.search(rf"\b{re.escape(bare)}\b", self.sources[path])
        return path.stem.startswith("test_every") or named is not None


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
        concern = self.suite.concerning(self.mutant.concerns)
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
        with worker.trial(self.apply):
            cell = self.mismatch(worker, concern) if self.operator.by_grid else None
            killer = None if cell else first_to_notice(concern.tests, nextitem)
            if not cell and not killer and not self.operator.by_grid:
                cell = self.mismatch(worker, concern)
        if killer is None:
            return cell
        concern.first(killer)
        if first_to_notice([killer], nextitem):
            raise RolecallError(f"{killer.nodeid} fails without the mutant too: it proves nothing.")
        return killer.nodeid

    def mismatch(self, worker: Worker, concern: Concern) -> str | None:
        """The first cell of the grids that is not as written."""
        cells = ((grid, worker.first_mismatch(grid)) for grid in concern.grids)
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
