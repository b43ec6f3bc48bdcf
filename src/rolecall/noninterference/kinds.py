"""The five kinds of tests that ``decided_by`` makes: what each changes, and what it says if a verdict differs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NoReturn

from psycopg import Connection

from rolecall.access.custom_settings import custom_settings
from rolecall.access.world import World
from rolecall.errors import GridError, RolecallError
from rolecall.grids.decided_by import COLUMNS, DECLARED, OTHER_ROWS, REFERENCED_ROWS, REQUEST, Entry
from rolecall.grids.grid import Grid
from rolecall.noninterference import schema
from rolecall.noninterference.changes import Change
from rolecall.noninterference.experiment import ENOUGH, Experiment, Tally
from rolecall.noninterference.identities import add_identities
from rolecall.noninterference.requests import Requests
from rolecall.noninterference.rows import Rows, groups
from rolecall.noninterference.tables import Tables
from rolecall.noninterference.text import findings_text, undecided_text


@dataclass(frozen=True)
class Result:
    """The result of one kind: why it fails, or an empty text, and what was tried."""

    kind: str
    failure: str
    tally: Tally = field(default_factory=Tally)

    def facts(self, table: str) -> list[tuple[str, ...]]:
        """What counts towards the coverage: each column that may not decide, and of which a change was accepted."""
        if self.kind not in (COLUMNS, REFERENCED_ROWS):
            return []
        return [("varied", table, what) for what in sorted(self.tally.varied)]


def check(connection: Connection[Any], grid: Grid, world: World, kind: str, most: int = ENOUGH) -> Result:
    """Try one of ``KINDS`` for a grid with ``decided_by``, in the current state of the database.

    The search ends when there are ``most`` findings; with 0, at the first difference, which is not explained.
    ``connection`` is a superuser's; everything is rolled back.
    Raises GridError for an entry that the database does not have, and RolecallError if a row of the grid could not be
    loaded.
    """
    for row in grid.rows:
        world.require(grid.table, row)
    with connection.transaction(force_rollback=True):
        # More rows of other tables are what "other rows" tries.
        return _Grid(connection, grid, world, identities=kind != OTHER_ROWS).result(kind, most)


class _Grid:
    """The tests of one grid."""

    def __init__(self, connection: Connection[Any], grid: Grid, world: World, *, identities: bool) -> None:
        if grid.decided_by is None:
            raise RolecallError(f"the grid of {grid.table} has no decided_by.")
        self.grid, self.decided = grid, grid.decided_by
        self.schema = schema.read(connection, grid.table)
        for entry in self.decided.entries:
            self._validate(entry)
        if identities:
            subjects = dict.fromkeys(
                str(each.claims["sub"]) for each in world.personas.values() if "sub" in each.claims
            )
            add_identities(connection, self.schema, list(subjects))
        self.rows = Rows(connection, grid, world, self.schema, self.decided)
        self.requests = Requests(
            world,
            self.decided,
            self.rows.dictionary,
            custom_settings(connection),
            self.schema.json_paths,
            self.rows.keys_of_the_grid(),
            elements=self.schema.reads_elements,
        )
        self.experiment = Experiment(connection, grid, world, self.schema)

    def result(self, kind: str, most: int) -> Result:
        """The result of one kind, with so many findings at most."""
        if kind == DECLARED:
            unshown = [entry.text for entry in self.decided.entries if not self._decides(entry)]
            return Result(kind, undecided_text(self.grid, unshown), self.experiment.tally)
        found = self.experiment.findings(self._groups(kind), most)
        return Result(kind, findings_text(self.grid, found, self.rows, most), self.experiment.tally)

    def _groups(self, kind: str) -> Iterable[Sequence[Change]]:
        """The groups of changes that must change no verdict."""
        if kind == COLUMNS:
            own = self.decided.names("column")
            return groups(self.rows.of_the_table(lambda name: name not in own))
        if kind == REFERENCED_ROWS:
            others = self.rows.of_other_tables(lambda table, name: name not in self.decided.columns_of(table))
            return chain(groups(others), chain.from_iterable(map(groups, self.rows.of_links())))
        if kind == REQUEST:
            return self.requests.groups()
        tables = Tables(self.rows)
        return chain(tables.more(), () if self.decided.counts_rows_of(self.grid.table) else tables.fewer())

    def _decides(self, entry: Entry) -> bool:
        """Whether some change of what an entry names changes some verdict."""
        return any(self.experiment.differences(group) for group in self._changes_of(entry))

    def _changes_of(self, entry: Entry) -> Iterator[Sequence[Change]]:
        if entry.kind == "column":
            yield from groups(self.rows.of_the_table(lambda name: name == entry.name))
        elif entry.kind == "column of another table":
            yield from groups(self.rows.of_other_tables(lambda table, name: (table, name) == (entry.table, entry.name)))
        elif entry.kind == "rows":
            tables = Tables(self.rows)
            yield from tables.more_in(entry.table)
            if entry.table == self.grid.table:
                yield from tables.fewer()
        else:
            yield from self.requests.of_entry(entry.kind, entry.name)

    def _validate(self, entry: Entry) -> None:
        """Check that the table and the column of an entry exist. Raises GridError."""
        if entry.kind not in ("column", "column of another table", "rows"):
            return
        table = entry.table or self.grid.table
        columns = [column.name for column in self.schema.columns.get(table, [])]
        if not columns:
            self._fail(entry, f"there is no table {table!r}")
        if entry.kind != "rows" and entry.name not in columns:
            self._fail(entry, f"{table} has no column {entry.name!r}; it has: {', '.join(columns)}")
        if entry.table and entry.table not in [self.grid.table, *self.schema.scope]:
            reached = ", ".join(self.schema.scope) or "no other table"
            text = (
                f"no foreign key, policy, trigger or function leads from {self.grid.table} to {table}, but to {reached}"
            )
            self._fail(entry, f"{text}. Remove the entry")

    def _fail(self, entry: Entry, text: str) -> NoReturn:
        raise GridError(f"{self.grid.path}:{self.grid.line}: decided_by has {entry.text!r}: {text}.")
