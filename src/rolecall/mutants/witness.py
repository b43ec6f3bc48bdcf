"""What would notice a surviving mutant: a cell that no grid has, or a row that the world does not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import NamedTuple

from rolecall.access.persona import anonymous_roles
from rolecall.catalog.definitions import Schema
from rolecall.catalog.objects import identifier, qualified
from rolecall.conditions.conditions import Variant
from rolecall.conditions.proposals import MAX_SECONDS, Proposals
from rolecall.conditions.subjects import Subject
from rolecall.conditions.trial import Trial
from rolecall.errors import RolecallError
from rolecall.grids.grid import COMMANDS, Grid, grid
from rolecall.grids.outcomes import GridOutcomes
from rolecall.grids.verdicts import verdict
from rolecall.mutants.operators.constraints import parsed
from rolecall.mutants.operators.operator import Mutant
from rolecall.worker import Worker

ANONYMOUS, STRANGER, OTHER, TRUSTED = range(4)  # who gains, the worst first
BYPASSES = "SELECT rolname FROM pg_roles WHERE rolsuper OR rolbypassrls"
Place = tuple[str, str, str]  # row, command and persona of a cell


class Difference(NamedTuple):
    """A cell that a mutant changes. ``who`` is None if the persona may not do more than before."""

    table: str
    row: str
    command: str
    persona: str
    before: str
    after: str
    who: int | None

    @property
    def rank(self) -> tuple[bool, int, bool]:
        """The worst first: a gain, of those who have not signed in, to write."""
        return self.who is None, self.who or 0, self.command == "select"


class Witnesses:
    """Looks for what would notice a mutant, in the database of one process.

    ``anonymous`` are the roles of clients who have not signed in, ``trusted`` those that bypass row-level security.
    """

    def __init__(self, worker: Worker, schema: Schema, grids: Sequence[Grid]) -> None:
        self.worker, self.world, self.schema = worker, worker.world, schema
        self.trusted = {name for (name,) in worker.connection.execute(BYPASSES)}
        self.anonymous = anonymous_roles(self.world.personas.values()) - self.trusted
        self._has_grid = {each.table for each in grids}
        self._original: dict[str, dict[Place, str]] = {}
        self._proposed: set[str] = set()
        self._seconds = MAX_SECONDS  # that are left for proposals

    def prepare(self, tables: Sequence[str]) -> None:
        """Try the tables that no grid tries. It must be called without the mutant."""
        for table in tables:
            if table in self.world.rows and table not in self._has_grid and table not in self._original:
                self._original[table] = self._verdicts(table)

    def difference(self, tables: Sequence[str]) -> Difference | None:
        """The worst of the cells of these tables that the mutant changes. It must be called with the mutant."""
        found = [each for table in tables if self._original.get(table) for each in self._differences(table)]
        return min(found, key=lambda each: each.rank, default=None)

    def _differences(self, table: str) -> list[Difference]:
        before, after = self._original[table], self._verdicts(table)
        changed = [place for place in before if after.get(place, before[place]) != before[place]]
        return [
            Difference(table, *place, before[place], after[place], self._who(place, before, after)) for place in changed
        ]

    def _who(self, place: Place, before: Mapping[Place, str], after: Mapping[Place, str]) -> int | None:
        if "yes" in before[place].split("/") or "yes" not in after[place].split("/"):
            return None
        row, _, persona = place
        role = self.world.personas[persona].role
        if role in self.trusted or role in self.anonymous:
            return TRUSTED if role in self.trusted else ANONYMOUS
        own = any("yes" in before.get((row, command, persona), "").split("/") for command in COMMANDS)
        return OTHER if own else STRANGER

    def _verdicts(self, table: str) -> dict[Place, str]:
        """The verdict of every command, row and persona. Empty for a table that cannot be tried so."""
        rows = list(self.world.rows[table].values())
        columns = [column for column in self.schema.columns if column.table == table]
        key = self._key(table)
        if not columns or not all(name in row for row in rows for name in key):
            return {}
        granted = [name for grant in self.schema.grants if grant.name == table for name in grant.columns]
        others = [column.name for column in columns if column.name not in key] or [columns[0].name]
        column = identifier(next((name for name in granted if name in others), others[-1]))
        try:
            whole = grid(table, "  ".join(COMMANDS), update=f"{column} = {column}", key=key).completed(self.world)
            whole.validate(self.world)
        except RolecallError:
            return {}
        tried = GridOutcomes(self.worker.connection, self.world).try_grid(whole)
        return {(cell.row, cell.command, cell.persona): verdict(results) for cell, results in tried.items()}

    def _key(self, table: str) -> list[str]:
        for each in self.schema.constraints:
            if each.table == table and each.kind == "p":
                return [column.string.sval for column in parsed(each).keys]
        return ["id"]

    def row_for(self, mutant: Mutant) -> str:
        """Code of a row with which the access to a table differs; empty if none is found.

        Only the first mutant of each policy is tried, and only for some seconds. Called without the mutant.
        """
        target, is_policy = str(mutant.target), mutant.target.kind == "policy"
        is_new = is_policy and mutant.concerns in self.world.rows and target not in self._proposed
        if not is_new or self._seconds <= 0:
            return ""
        self._proposed.add(target)
        name, columns = qualified(mutant.concerns), self.schema.types.get(mutant.concerns, {})
        column = identifier(next(reversed(columns)))
        subject = Subject(
            mutant.concerns,
            "",
            (),
            lambda text: [text] if text else [],
            [f"SELECT * FROM {name}", f"UPDATE {name} SET {column} = {column}", f"DELETE FROM {name}"],
            [name for name, persona in self.world.personas.items() if not persona.setup],
            {mutant.concerns},
            writes=True,
        )
        connection, start = self.worker.connection, monotonic()
        with connection.transaction(force_rollback=True):
            trial = Trial(connection, self.world.personas)
            proposals = Proposals(connection, trial, self.world, seconds=self._seconds)
            row = proposals.row_for(subject, Variant("", "", mutant.sql))
        self._seconds -= monotonic() - start
        return row or ""
