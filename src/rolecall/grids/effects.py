"""The effects of a grid's writes: each must change the row that it aims at, and nothing else.

What a write should change is what the same statement changes without triggers and rules, as the superuser. The grid
says what triggers change besides: ``changes={"update": {"updated_at": datetime}}``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import Connection, sql

from rolecall.access.session import Session, advisory_locks_released
from rolecall.access.world import World
from rolecall.changes.changes import Changes, changes_of
from rolecall.changes.expected import Change
from rolecall.changes.snapshot import Snapshot, take
from rolecall.errors import RolecallError
from rolecall.grids.grid import Cell, Grid
from rolecall.grids.probe import Check, aim_at, make_room

# Foreign keys stay: the rows that one of them deletes or empties belong to the write.
WITHOUT_TRIGGERS = """
SELECT format('ALTER TABLE %s DISABLE TRIGGER USER', tgrelid::regclass)
FROM pg_trigger JOIN pg_class AS c ON c.oid = tgrelid
WHERE NOT tgisinternal AND relkind IN ('r', 'p') AND NOT relispartition
UNION
SELECT format('ALTER TABLE %s DISABLE RULE %I', ev_class::regclass, rulename)
FROM pg_rewrite JOIN pg_class AS c ON c.oid = ev_class WHERE relkind IN ('r', 'p')
"""
PRIMARY_KEY = """
SELECT array_agg(attname::text ORDER BY place)
FROM pg_index CROSS JOIN unnest(indkey::int2[]) WITH ORDINALITY AS k (number, place)
JOIN pg_attribute ON attrelid = indrelid AND attnum = number
WHERE indrelid = %s::regclass AND indisprimary
"""


class GridEffects:
    """Tries the writes of a grid that are allowed, and compares everything before and after each of them."""

    def __init__(self, connection: Connection[Any], grid: Grid, world: World) -> None:
        self.connection, self.grid, self.world = connection, grid, world
        self.session = Session(connection, world.personas)
        self._before: dict[tuple[str, ...], Snapshot] = {}
        self._plain: dict[tuple[str, str], list[Change] | psycopg.Error] = {}  # by row and command
        self._first: dict[tuple[str, str], int] = {}  # by command and role: which of the lists of changes it made

    def differences(self) -> Iterator[str]:
        """What differs from the grid, a text for each write. Everything is rolled back."""
        cells = list(self.cells())
        with self.connection.transaction(force_rollback=True):
            self._disable_triggers()
            for cell in cells:
                if (cell.row, cell.command) not in self._plain:
                    self._plain[cell.row, cell.command] = self._without_triggers(cell)
        for cell in cells:
            if text := self._difference(cell):
                yield text
        for command, columns in (self.grid.changes or {}).items():
            if not any(name == command and number == 0 for (name, _), number in self._first.items()):
                names = ", ".join(columns)
                yield f"no {command} of {self.grid.table} changes {names} as changes= says: correct it, or remove it."

    def cells(self) -> Iterator[Cell]:
        """The allowed writes: of each row and command, one persona of each role.

        A command with changes of its own is tried by all personas: a trigger may look at who acts.
        """
        done = set()
        for cell in self.grid.cells:
            by_all = cell.command in (self.grid.changes or {})
            write = cell.row, cell.command, cell.persona if by_all else self._role(cell)
            allowed = cell.command != "select" and "yes" in cell.expected.split("/")
            if allowed and write not in done and (self.grid.table, cell.row) not in self.world.missing:
                done.add(write)
                yield cell

    def _difference(self, cell: Cell) -> str:
        """What differs in one write, in words; empty if nothing does."""
        plain, *others = self.grid.checks(cell, self.world)
        check = plain if cell.expected.startswith("yes") else others[0]
        try:
            expected = self._expectations(cell, plain)
            with (
                self._tried(check) as (statement, before),
                changes_of(self.connection, before=before) as changed,
                self.session.acting_as(cell.persona, method=check.method),
            ):
                self.connection.execute(statement)
                self.connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except psycopg.Error as error:
            if not cell.expected.startswith("yes") and isinstance(error, psycopg.errors.InsufficientPrivilege):
                return ""  # only some columns are granted, and the grid's statement writes another one
            return f"{cell.persona}: {cell.command} on {cell.row!r} of {self.grid.table} cannot be tried: {error}"
        made = [number for number, each in enumerate(expected) if changed == each]
        first = self._first.setdefault((cell.command, self._role(cell)), made[0]) if made else 0
        return "" if first in made else self._explain(cell, check, changed, expected[first])

    def _role(self, cell: Cell) -> str:
        return self.world.personas[cell.persona].role

    def _explain(self, cell: Cell, check: Check, changed: Changes, expected: list[Change]) -> str:
        lines = [
            f"{cell.persona}: {cell.command} on {cell.row!r} of {self.grid.table} has other effects than the grid says",
            f"  written     {self.grid.path.name}:{cell.line}",
            f"  ran         {check.statement}",
            *(f"  {line}" for line in changed.explain(expected)),
        ]
        if columns := self._besides(changed, expected):
            said = ", ".join(f'"{column}": object' for column in columns)
            lines.append(f'  If that is right, say so in the grid: changes={{"{cell.command}": {{{said}}}}}')
        return "\n".join(lines)

    def _besides(self, changed: Changes, expected: list[Change]) -> list[str]:
        """The columns of the row that the write changed, and that the grid does not name."""
        rows = [each for each in expected if each.name == self.grid.table]
        for found in changed.found or []:
            for row in rows:
                if (found.kind, found.name) == ("updated", row.name) and found.key == (row.key or found.key):
                    return [column for column in found.values if column not in row.values or row.kind == "deleted"]
        return []

    # -- what should change

    def _expectations(self, cell: Cell, check: Check) -> list[list[Change]]:
        """The lists of changes that are right; the first has what triggers change besides.

        A delete may also delete: a trigger may keep the rows of some roles only, but then all of them.
        """
        plain = self._plain[cell.row, cell.command]
        if isinstance(plain, psycopg.Error):
            raise plain
        besides = (self.grid.changes or {}).get(cell.command)
        if not besides:
            return [plain]
        if cell.command == "insert":
            return [
                [replace(each, values={**each.values, **besides}) if self._is_row(each) else each for each in plain]
            ]
        others = [each for each in plain if not self._is_row(each)]
        updated = next((each.values for each in plain if self._is_row(each) and each.kind == "updated"), {})
        row = Change("updated", self.grid.table, self._primary_key(check), {**updated, **besides})
        return [[row], plain] if cell.command == "delete" else [[row, *others]]

    def _is_row(self, change: Change) -> bool:
        return change.name == self.grid.table

    def _disable_triggers(self) -> None:
        try:
            for (disable,) in self.connection.execute(WITHOUT_TRIGGERS).fetchall():
                self.connection.execute(disable)
        except psycopg.errors.InsufficientPrivilege as error:
            text = f"{self.grid.table}: changes= needs a superuser, who can switch triggers off: {error}"
            raise RolecallError(f"{text} Connect as one, or remove changes= from the grid.") from error

    def _without_triggers(self, cell: Cell) -> list[Change] | psycopg.Error:
        """What the statement changes by itself, or its error: the triggers are off.

        An insert is tried twice: a value that differs between the two may be any (a random id).
        """
        check, *_ = self.grid.checks(cell, self.world)
        tries: list[list[Change]] = []
        try:
            for _ in range(2 if check.room else 1):
                with self._tried(check) as (statement, before), changes_of(self.connection, before=before) as changed:
                    self.connection.execute(statement)
                tries.append(changed.found or [])
        except psycopg.Error as error:
            return error
        first, last = tries[0], tries[-1]
        return [_either(*pair) for pair in zip(first, last, strict=True)] if len(first) == len(last) else first

    # -- trying

    @contextmanager
    def _tried(self, check: Check) -> Iterator[tuple[str, Snapshot | None]]:
        """The statement of a check, after everything that must come before it. The block is rolled back.

        The snapshot of this moment is None before an insert: each has another.
        """
        with advisory_locks_released(self.connection), self.connection.transaction(force_rollback=True):
            for text in check.before:
                self.connection.execute(text.encode())
            if check.room:
                make_room(self.connection, check)
                yield check.statement, None
                return
            before = self._before.get(check.before)
            if before is None or before.has_sequences:  # the rollback of an earlier write does not reset them
                before = self._before[check.before] = take(self.connection, since=before)
            if check.blind:
                aim_at(self.connection, check)
            end = " WHERE CURRENT OF rolecall_target" if check.blind else ""
            yield check.statement + end, before

    def _primary_key(self, check: Check) -> tuple[Any, ...]:
        """The values of the primary key of the check's row."""
        row = self.connection.execute(PRIMARY_KEY, [check.target]).fetchone()
        names = sql.SQL(", ").join(map(sql.Identifier, (row and row[0]) or []))
        query = sql.SQL("SELECT {} FROM ").format(names).as_string() + f"{check.target} WHERE {check.condition}"
        return tuple(self.connection.execute(query.encode()).fetchone() or ())


def _either(one: Change, other: Change) -> Change:
    """The change of two tries. What differs between them may be anything."""
    values = {name: value if value == other.values.get(name) else object for name, value in one.values.items()}
    return replace(one, key=() if one.kind == "inserted" else one.key, values=values)
