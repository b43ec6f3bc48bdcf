"""An experiment: make changes, try the cells again, compare, and find the change that made a difference."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count, islice
from operator import itemgetter
from typing import Any, NamedTuple

from psycopg import Connection

from rolecall.access.world import World
from rolecall.catalog.objects import qualified
from rolecall.grids.grid import Cell, Grid
from rolecall.grids.probe import Check, Outcome, probe_in_any_order
from rolecall.noninterference.changes import Change, RequestChange, TableChange, ValueChange, apply, changed
from rolecall.noninterference.function import prepare
from rolecall.noninterference.schema import Schema

# "More than one row": the number of other rows decides. Every other error is that of a constraint, a trigger or a cast.
CARDINALITY = "21"
ENOUGH = 5  # findings: more would not help the reader
TOGETHER = 5000  # checks of changed requests, which are tried together
MOST_TRIES = 100  # passes over the changes, to find the smallest part

# Whether a row can matter: the role has the privilege, and a policy, a trigger or a rule comes after that.
MATTERS = """
SELECT has_schema_privilege(%(role)s, c.relnamespace, 'USAGE')
  AND (CASE WHEN %(privilege)s = 'DELETE' THEN false ELSE has_any_column_privilege(%(role)s, c.oid, %(privilege)s) END
       OR has_table_privilege(%(role)s, c.oid, %(privilege)s))
  AND (c.relkind NOT IN ('r', 'p') OR NOT r.rolbypassrls AND NOT r.rolsuper
       OR %(privilege)s <> 'SELECT' AND (c.relhasrules OR EXISTS (
         SELECT FROM pg_trigger AS t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)))
FROM pg_class AS c, pg_roles AS r WHERE c.oid = %(table)s::regclass AND r.rolname = %(role)s
"""


class Difference(NamedTuple):
    """A cell whose verdict is another one after a change."""

    cell: Cell
    before: str
    after: str


class Finding(NamedTuple):
    """The smallest changes that make a difference, one cell, and the number of all cells that differ."""

    changes: Sequence[Change]
    difference: Difference
    cells: int


@dataclass
class Tally:
    """What was tried: each ``what`` of which a change was accepted, the others, and the numbers of changes."""

    varied: set[str] = field(default_factory=set)
    fixed: set[str] = field(default_factory=set)
    accepted: int = 0
    refused: int = 0
    uncompared: int = 0  # verdicts that were errors after a change
    verdicts: int = 0  # that were tried, before and after changes

    def add(self, changes: Iterable[Change], accepted: Collection[Change]) -> None:
        """Count changes, of which the database accepted some."""
        # By identity: a change may have a value that has no hash.
        known = set(map(id, accepted))
        for change in changes:
            if id(change) in known:
                self.varied.add(change.what)
                self.accepted += 1
            else:
                self.fixed.add(change.what)
                self.refused += 1

    def __str__(self) -> str:
        return f"{self.accepted} changes, {self.refused} not allowed, {self.uncompared} verdicts not comparable"


class Experiment:
    """Tries the cells of one grid in the current state of the database, with and without changes.

    ``connection`` is a superuser's, in a transaction. Every change is rolled back at once.
    """

    def __init__(self, connection: Connection[Any], grid: Grid, world: World, schema: Schema) -> None:
        self.connection, self.grid, self.world, self.schema = connection, grid, world, schema
        self.tally = Tally()
        self._privileges: dict[tuple[str, str], bool] = {}
        self.is_table = schema.tables.get(grid.table, False)
        prepare(connection)
        self.cells = [cell for cell in grid.cells if self._may_depend_on_rows(cell)]
        own = self._checks(self.cells, world)
        (self.before,) = self._try(own)
        self.tally.verdicts += len(own)
        # Where USING stops an update, it stops a move too. The cell of the update shows that, so the move is not tried.
        stopped = {cell for cell, outcome in self.before.items() if outcome.word == "-"}
        moves = {cell for cell in stopped if cell.command in grid.moves}
        # A cell that fails by itself proves nothing here.
        failing = {cell for cell, outcome in self.before.items() if not set(outcome.words) <= _words(cell)}
        self.cells = [cell for cell in self.cells if cell not in moves | failing]
        self.own = {cell: own[cell] for cell in self.cells}

    def differences(self, changes: Sequence[Change], cells: Iterable[Cell] | None = None) -> list[Difference]:
        """The cells that differ after these changes, among ``cells``, by default all that they concern."""
        found, accepted = [], []
        with self.connection.transaction(force_rollback=True):
            accepted = apply(self.connection, changes)
            if accepted:
                concerned = self._concerned(accepted, self.cells if cells is None else cells)
                checks = self._checks(concerned, changed(self.world, self.grid.table, accepted))
                found = self._compare(*self._try(checks))
        if cells is None:
            self.tally.add(changes, accepted)
        return found

    def finding(self, changes: Sequence[Change], differences: Sequence[Difference]) -> Finding:
        """The smallest part of the changes that makes the first of the differences."""
        cell = differences[0].cell

        def differs(part: Sequence[Change]) -> bool:
            return bool(self.differences(part, [cell]))

        own = [each for each in changes if not self._is_of_another_row(each, cell)]
        smallest = _simplified(_smallest(own if differs(own) else changes, differs), differs)
        (difference,) = self.differences(smallest, [cell]) or [differences[0]]
        return Finding(smallest, difference, len(differences))

    def findings(self, groups: Iterable[Sequence[Change]], most: int) -> list[Finding]:
        """What makes a difference in these groups of changes, up to ``most`` findings.

        What has made a difference is left out of the later groups. With 0 there is one finding at most, whose changes
        are a whole group: the fastest way to know whether anything makes a difference.
        """
        groups = self._from_the_first_difference(groups)
        if not most:
            tries = ((group, self.differences(group)) for group in groups)
            return [Finding(group, each[0], len(each)) for group, each in islice(filter(itemgetter(1), tries), 1)]
        found: list[Finding] = []
        culprits: set[str] = set()
        for group in groups:
            changes = [change for change in group if change.what not in culprits]
            while changes and len(found) < most and (differences := self.differences(changes)):
                found.append(self.finding(changes, differences))
                names = {change.what for change in found[-1].changes}
                culprits |= names
                changes = [change for change in changes if change.what not in names]
            if len(found) >= most:
                break
        return found

    def _from_the_first_difference(self, groups: Iterable[Sequence[Change]]) -> Iterator[Sequence[Change]]:
        """The groups, without those of requests at the beginning that make no difference.

        Requests leave the rows as they are. So many groups of them are tried together: the server looks at each row,
        makes room for it and plans its statements once for all of them. There are twice as many each time, since a
        difference may come soon.
        """
        rest, size = iter(groups), 1
        while together := list(islice(rest, size)):
            tries = [self._requests(group) for group in together]
            for place, outcomes in enumerate(self._try(*tries)):
                if not outcomes or any(self._difference(*each) for each in outcomes.items()):
                    yield from chain(together[place:], rest)
                    return
                self._compare(outcomes)
                self.tally.add(together[place], together[place])
            size = min(2 * size, TOGETHER // len(self.cells) or 1)

    def _requests(self, changes: Sequence[Change]) -> dict[Cell, Check]:
        """The checks of all cells after changes of the request; none if there are other changes."""
        if not changes or not all(isinstance(change, RequestChange) for change in changes):
            return {}
        personas = changed(self.world, self.grid.table, changes).personas
        return {cell: replace(check, persona=personas[cell.persona]) for cell, check in self.own.items()}

    def _is_of_another_row(self, change: Change, cell: Cell) -> bool:
        """Whether a change is one of another row of the grid's table."""
        if not isinstance(change, ValueChange):
            return False
        return change.row.table == self.grid.table and change.row.name != cell.row

    def _may_depend_on_rows(self, cell: Cell) -> bool:
        """Whether the row is there, and can matter. The setup of a persona may grant a privilege."""
        persona = self.world.personas[cell.persona]
        if (self.grid.table, cell.row) in self.world.missing:
            return False
        return bool(persona.setup) or self._matters(persona.role, cell.privilege.upper())

    def _matters(self, role: str, privilege: str) -> bool:
        key = role, privilege
        if key not in self._privileges:
            params = {"role": role, "privilege": privilege, "table": qualified(self.grid.table)}
            self._privileges[key] = self.connection.execute(MATTERS, params).fetchone() == (True,)
        return self._privileges[key]

    def _concerned(self, accepted: Iterable[Change], cells: Iterable[Cell]) -> list[Cell]:
        """The cells that accepted changes may concern: of the changed rows, or all if anything else changed."""
        rows = set()
        for change in accepted:
            if isinstance(change, ValueChange) and change.row.table == self.grid.table:
                rows.add(change.row.name)
            elif isinstance(change, TableChange) and change.only:
                rows.add(change.only)
            else:
                return list(cells)
        return [cell for cell in cells if cell.row in rows]

    def _checks(self, cells: Sequence[Cell], world: World) -> dict[Cell, Check]:
        """The check of each cell. Each command is tried in one way: the one that depends on the fewest policies."""
        return dict(replace(self.grid, cells=tuple(cells)).least_checks(world, blind=self.is_table))

    def _try(self, *tries: Mapping[Cell, Check]) -> list[dict[Cell, Outcome]]:
        """The outcomes of several tries, which the server gets together."""
        outcomes = iter(probe_in_any_order(self.connection, [check for checks in tries for check in checks.values()]))
        return [{cell: next(outcomes) for cell in checks} for checks in tries]

    def _compare(self, outcomes: Mapping[Cell, Outcome]) -> list[Difference]:
        """Count the verdicts, and compare those that can be compared."""
        self.tally.verdicts += len(outcomes)
        self.tally.uncompared += sum(not _is_comparable(outcome) for outcome in outcomes.values())
        return list(filter(None, (self._difference(*each) for each in outcomes.items())))

    def _difference(self, cell: Cell, outcome: Outcome) -> Difference | None:
        before = self.before[cell].word
        if not _is_comparable(outcome) or outcome.word == before:
            return None
        return Difference(cell, before, f"an error ({outcome})" if outcome.verdict is None else outcome.word)


def _is_comparable(outcome: Outcome) -> bool:
    return outcome.verdict is not None or (outcome.sqlstate or "").startswith(CARDINALITY)


def _words(cell: Cell) -> set[str]:
    return set(cell.expected.split("/"))


def _smallest(changes: Sequence[Change], differs: Callable[[Sequence[Change]], bool]) -> Sequence[Change]:
    """The changes without those that make no difference (delta debugging, Zeller and Hildebrandt 2002)."""
    size, tries = (len(changes) + 1) // 2, count()
    while len(changes) > 1 and size and next(tries) < MOST_TRIES:
        for start in range(0, len(changes), size):
            rest = [*changes[:start], *changes[start + size :]]
            if rest and differs(rest):
                changes = rest
                break
        else:
            size = 0 if size == 1 else (size + 1) // 2
    return changes


def _simplified(changes: Sequence[Change], differs: Callable[[Sequence[Change]], bool]) -> Sequence[Change]:
    """The changes with one key in each JSON value, if that makes the difference too."""
    simple = list(changes)
    for place, change in enumerate(changes):
        for other in _with_one_key(change):
            attempt = [*simple[:place], other, *simple[place + 1 :]]
            if differs(attempt):
                simple = attempt
                break
    return simple


def _with_one_key(change: Change) -> Iterable[Change]:
    if isinstance(change, ValueChange) and (change.value or "").startswith("{"):
        try:
            parsed = json.loads(change.value or "")
        except ValueError:  # an array
            return []
        return [replace(change, value=json.dumps({key: value})) for key, value in parsed.items()]
    return []
