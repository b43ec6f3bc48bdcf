"""What a client writes is what is stored, whatever the value: no trigger or rule may decide about that.

Each value of each column is written twice: by a persona of the grid, and by the same statement without triggers and
rules. The two stored rows must be equal, but for what the grid's ``changes=`` names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import Connection, sql

from rolecall.access.session import Session
from rolecall.access.world import Row, World, insert, matching
from rolecall.catalog.objects import identifier, qualified
from rolecall.grids.decided_by import DecidedBy
from rolecall.grids.grid import Cell, Grid
from rolecall.grids.probe import Check
from rolecall.noninterference import schema
from rolecall.noninterference.rows import Place, Rows
from rolecall.noninterference.values import Value

Stored = Mapping[str, Any]
# Bit 64 of tgtype is INSTEAD. Without its triggers, such a view stores nothing.
HAS_INSTEAD_OF = "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = %s::regclass AND tgtype & 64 <> 0)"
LAST_NUMBER = "{} = currval(pg_get_serial_sequence({}, {}))"
ENOUGH = 3  # differences; more of the same would not help
# A policy, or a foreign key, which the statement without triggers does not check. decided_by tries the policies.
REFUSALS = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ForeignKeyViolation)


class StoredValues:
    """Writes values to the columns of one grid's table, in the current state of the database."""

    def __init__(self, connection: Connection[Any], grid: Grid, world: World) -> None:
        self.connection, self.grid, self.world = connection, grid, world
        self.session = Session(connection, world.personas)
        self.tried = self.compared = 0  # columns that were tried, values that were compared
        columns = schema.read(connection, grid.table)
        self.rows = Rows(connection, grid, world, columns, grid.decided_by or DecidedBy(()))
        self.columns = [column.name for column in columns.columns[grid.table] if not column.is_fixed]

    def differences(self, most: int = ENOUGH) -> list[str]:
        """The first values that are stored in another way, a text for each, until there are ``most``.

        Everything is rolled back.

        A value that a policy or a constraint refuses is not compared. That there was none to compare is a text too.
        A view with INSTEAD OF triggers has none: only its triggers say what is stored.
        """
        if self.connection.execute(HAS_INSTEAD_OF, [qualified(self.grid.table)]).fetchone() == (True,):
            return []
        found: dict[tuple[str, str], str] = {}  # by command and column: the first one is enough
        places = self.rows.of_the_table(lambda name: name not in self.grid.key)
        for cell, check in self._writes():
            besides = (self.grid.changes or {}).get(cell.command, {})
            tried = [place for place in places if place.row.name == cell.row and place.column not in besides]
            for place in tried:
                if (cell.command, place.column) not in found:
                    texts = (self._difference(cell, check, place, value) for value in place.values)
                    if text := next(filter(None, texts), ""):
                        found[cell.command, place.column] = text
            self.tried += len(tried)
            if len(found) >= most:
                break
        if self.tried and not self.compared:
            return ["no value could be compared: a policy or a constraint refuses all of them"]
        return list(found.values())

    def _writes(self) -> Iterator[tuple[Cell, Check]]:
        """The first allowed insert and the first allowed update of each role."""
        done = set()
        for cell in self.grid.cells:
            write = cell.command, self.world.personas[cell.persona].role
            is_write = cell.command in ("insert", "update") and cell.expected.startswith("yes")
            if is_write and write not in done and (self.grid.table, cell.row) not in self.world.missing:
                done.add(write)
                yield cell, self.grid.checks(cell, self.world)[0]

    def _difference(self, cell: Cell, check: Check, place: Place, value: Value) -> str:
        """What is stored in another way if a persona writes a value; empty without a difference."""
        statement = self._statement(cell, check, place.column, value)
        try:
            condition = self._condition(cell, check)
            plain = self._stored(check, statement, condition)
        except psycopg.Error:
            return ""  # not a value of the column, or a constraint refuses it
        try:
            stored = self._stored(check, statement, condition, cell.persona)
        except REFUSALS:
            return ""
        except psycopg.Error as error:
            self.compared += 1
            return f"{self._written(cell, place.column, value)} ends with {error.sqlstate} {error.diag.message_primary}"
        self.compared += 1
        besides = (self.grid.changes or {}).get(cell.command, {})
        compared = self.columns if cell.command == "update" else [*self._inserted(cell), place.column]
        different = [
            name for name in compared if name not in besides and (plain or {}).get(name) != (stored or {}).get(name)
        ]
        if not different and (stored is None) == (plain is None):
            return ""
        return self._explain(cell, place.column, value, different[:1], plain, stored)

    def _explain(
        self,
        cell: Cell,
        column: str,
        value: Value,
        different: Sequence[str],
        plain: Stored | None,
        stored: Stored | None,
    ) -> str:
        written = self._written(cell, column, value)
        if stored is None:
            return f"{written} stores no row"
        if not different or plain is None:
            return f"{written} stores a row, and without triggers it does not"
        (name,) = different
        return f"{written} stores {name} = {_short(stored[name])} instead of {_short(plain[name])}"

    def _written(self, cell: Cell, column: str, value: Value) -> str:
        return f"{cell.persona}: {cell.command} of {cell.row!r} with {column} = {self.rows.value_name(value)}"

    # -- writing

    def _inserted(self, cell: Cell) -> Row:
        """The columns that an insert writes. An identity gives the other ones another number each time."""
        return self.world.insertable(self.grid.table, cell.row)

    def _condition(self, cell: Cell, check: Check) -> str:
        """What selects the row after the statement. A new row has the last number of an identity that is in its key."""
        numbered = [name for name in self.grid.key if name not in self._inserted(cell)]
        if cell.command == "update" or not numbered:
            return check.condition
        row = self._inserted(cell)
        terms = [matching({name: row[name]}) for name in self.grid.key if name in row]
        return " AND ".join(
            [*terms, *(LAST_NUMBER.format(identifier(each), _text(check.target), _text(each)) for each in numbered)]
        )

    def _statement(self, cell: Cell, check: Check, column: str, value: Value) -> str:
        if cell.command == "insert":
            return insert(self.grid.table, {**self._inserted(cell), column: value}).as_string()
        literal = sql.Literal(value).as_string()
        return f"UPDATE {check.target} SET {identifier(column)} = {literal} WHERE {check.condition}"

    def _stored(self, check: Check, statement: str, condition: str, persona: str | None = None) -> Stored | None:
        """The row after the statement: of a persona, or without triggers and rules. Raises psycopg's error.

        ``condition`` selects the row then.
        """
        with self.connection.transaction(force_rollback=True):
            for text in check.before:
                self.connection.execute(text.encode())
            if check.room:
                with self._without_triggers():
                    self.connection.execute(check.room.encode())
            if persona:
                with self.session.acting_as(persona, method=check.method):
                    self.connection.execute(statement.encode())
                    self.connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            else:
                with self._without_triggers():
                    self.connection.execute(statement.encode())
            query = f"SELECT to_jsonb(r)::text FROM {qualified(self.grid.table)} AS r WHERE {condition}"
            row = self.connection.execute(query.encode()).fetchone()
            return json.loads(row[0]) if row else None

    @contextmanager
    def _without_triggers(self) -> Iterator[None]:
        self.connection.execute("SET LOCAL session_replication_role = replica")
        yield
        self.connection.execute("SET LOCAL session_replication_role = origin")


def _text(text: str) -> str:
    return sql.Literal(text).as_string()


def _short(value: Any) -> str:
    text = "NULL" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:56]}…'"
