"""Access to what has no grid: the rows that a table or view shows, the privileges to write, the functions to call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection, sql

from rolecall.access.session import Session
from rolecall.access.world import World
from rolecall.access_map import objects
from rolecall.access_map.objects import Relation
from rolecall.errors import RolecallError
from rolecall.grids.probe import REFUSED
from rolecall.report.access import CALL, PRIVILEGES, SELECT, TRUNCATE, Access, Attempt, Granted
from rolecall.server.waits import ended_by_server

GRANTED_COLUMNS = """
SELECT COALESCE(array_agg(attname::text ORDER BY attnum), '{}') FROM pg_attribute
WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped
  AND has_column_privilege(current_user, attrelid, attnum, %s)
"""
# Of the rows of a view, its query decides, and tables below it: whether one would be seen is not known.
NO_POLICY_DECIDES = "SELECT relkind <> 'v' AND NOT row_security_active(oid) FROM pg_class WHERE oid = %s"
# A trigger for statements runs without a row too, and may ask who acts. Bit 1 of tgtype is FOR EACH ROW.
HAS_STATEMENT_TRIGGER = """
SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = %s AND NOT tgisinternal AND tgtype & 1 = 0)
"""
Key = tuple[Any, ...]


class Shown(NamedTuple):
    """The rows that a relation shows to a persona: their values of ``columns``, and the columns if not all.

    Without rows: it has none, and no policy would hide one.
    """

    columns: Sequence[str]
    rows: list[Key]
    only: Sequence[str] = ()


class Untested:
    """Tries tables, views and functions that have no grid, as each persona of the world."""

    def __init__(self, connection: Connection[Any], world: World) -> None:
        self.connection, self.world = connection, world
        self.session = Session(connection, world.personas)
        self.keys = {each.name: each for each in objects.relations(connection, world.rows) if each.kind == "table"}

    def relation(self, relation: Relation) -> Mapping[Attempt, Granted]:
        """What each persona sees of a relation, and which statements that write it may run."""
        tables = self._tables(relation)
        keys = {column for table in tables for column in table.key}
        columns = [name for name in relation.columns if name in keys] or relation.columns[:1]
        shown = {name: rows for name in self.world.personas if (rows := self._select(relation, columns, name))}
        is_empty = any(not each.rows for each in shown.values())
        attempts = dict((not is_empty and self._named(tables, shown)) or _counted(shown))
        asks_who = self.connection.execute(HAS_STATEMENT_TRIGGER, [relation.oid]).fetchone() == (True,)
        for privilege in PRIVILEGES:
            # Privileges belong to the role: a statement that changes no row is tried once for all of its personas.
            by_role: dict[tuple[str, ...], Access | None] = {}
            granted = attempts[Attempt("", privilege)] = {}
            for name, persona in self.world.personas.items():
                key = (name,) if asks_who else (persona.role, persona.setup)
                if key not in by_role:
                    by_role[key] = self._write(relation, privilege, name)
                if access := by_role[key]:
                    granted[name] = access
        return attempts

    def truncate(self, relation: Relation) -> Mapping[Attempt, Granted]:
        """Who holds TRUNCATE on a table. It is not tried: it would wait for everybody who reads the table."""
        granted = {}
        for name in self.world.personas:
            with self._no_access_if_it_fails(), self._acting_as(name, relation.name):
                query = "SELECT has_table_privilege(%s::oid, 'TRUNCATE')"
                if self.connection.execute(query, [relation.oid]).fetchone() == (True,):
                    granted[name] = Access()
        return {Attempt("", TRUNCATE): granted}

    def functions(self) -> dict[str, Mapping[Attempt, Granted]]:
        """Who may call each function. What it then does is up to the function."""
        found: dict[str, dict[str, Access]] = {}
        for function, _ in objects.functions(self.connection):
            found[function] = {}
        for name in self.world.personas:
            with self._no_access_if_it_fails(), self._acting_as(name):
                for function, allowed in objects.functions(self.connection):
                    found[function].update({name: Access()} if allowed else {})
        return {function: {Attempt("", CALL): granted} for function, granted in found.items()}

    # -- statements

    @contextmanager
    def _acting_as(self, name: str, table: str | None = None) -> Iterator[None]:
        with self.connection.transaction(force_rollback=True), self.session.acting_as(name, on=table):
            yield

    @contextmanager
    def _no_access_if_it_fails(self) -> Iterator[None]:
        """Take an error of the block for what it says: the persona has no access. Its role may not even exist."""
        try:
            yield
        except psycopg.Error as error:
            self._require_answer(error)

    def _require_answer(self, error: psycopg.Error) -> None:
        """Raises RolecallError for a timeout, and the error itself if the connection is gone: they decide nothing."""
        if self.connection.closed:
            raise error
        if ended_by_server(error):
            raise RolecallError(f"the access cannot be measured: {error.diag.message_primary}.") from None

    def _fails(self, statement: str, persona: str, table: str) -> bool:
        with self._no_access_if_it_fails(), self._acting_as(persona, table):
            self.connection.execute(statement.encode())
            return False
        return True

    def _write(self, relation: Relation, privilege: str, persona: str) -> Access | None:
        """Whether a persona may write: all columns, or those that are granted one by one; None if it may not."""
        if not self._fails(statement(relation, privilege, relation.writable), persona, relation.name):
            return Access()
        if privilege == "DELETE":
            return None
        granted: list[str] = []
        with self._no_access_if_it_fails(), self._acting_as(persona, relation.name):
            ((granted,),) = self.connection.execute(GRANTED_COLUMNS, [relation.oid, privilege]).fetchall()
        columns = [name for name in relation.writable if name in granted]
        fails = not columns or self._fails(statement(relation, privilege, columns), persona, relation.name)
        return None if fails else Access(columns=tuple(columns))

    def _select(self, relation: Relation, columns: Sequence[str], persona: str) -> Shown | None:
        """These columns of the rows that a persona sees; None if it may not select, or if others may see more."""
        try:
            with self._acting_as(persona, relation.name):
                names = sql.SQL(", ").join(map(sql.Identifier, columns))
                # With all columns, as a client asks: one that is not granted refuses the whole statement.
                query = sql.SQL("SELECT {} FROM (SELECT * FROM {}) AS r").format(names, sql.SQL(relation.sql))
                rows = self.connection.execute(query).fetchall()
                return Shown(columns, rows) if rows or self._is_empty(relation) else None
        except psycopg.Error as error:
            self._require_answer(error)
            return self._select_columns(relation, persona) if error.sqlstate == REFUSED else None

    def _select_columns(self, relation: Relation, persona: str) -> Shown | None:
        """The rows that a persona sees of the columns that are granted one by one."""
        with self._no_access_if_it_fails(), self._acting_as(persona, relation.name):
            ((granted,),) = self.connection.execute(GRANTED_COLUMNS, [relation.oid, "SELECT"]).fetchall()
            if granted:
                names = sql.SQL(", ").join(map(sql.Identifier, granted))
                query = sql.SQL("SELECT {} FROM {}").format(names, sql.SQL(relation.sql))
                rows = self.connection.execute(query).fetchall()
                return Shown(granted, rows, granted) if rows or self._is_empty(relation) else None
        return None

    def _is_empty(self, relation: Relation) -> bool:
        """Whether a relation that shows no row to the current role has none, because no policy hides one."""
        return self.connection.execute(NO_POLICY_DECIDES, [relation.oid]).fetchone() == (True,)

    # -- names of rows

    def _tables(self, relation: Relation) -> list[Relation]:
        """The tables of the world whose rows a relation may show: those whose key it has."""
        names = [relation.name] if relation.kind == "table" else objects.tables_of(self.connection, relation)
        tables = [self.keys[name] for name in names if self.world.rows.get(name) and name in self.keys]
        of_key = [table for table in tables if table.key and {*table.key} <= {*relation.columns}]
        return sorted(of_key, key=lambda table: (-len({*table.columns} & {*relation.columns}), table.name))

    def _named(self, tables: Sequence[Relation], shown: Mapping[str, Shown]) -> dict[Attempt, dict[str, Access]]:
        """The rows by their names in the world, if they are all rows of one of these tables; otherwise none."""
        for table in tables:
            names = self._names(table)
            seen: dict[str, set[str]] = {}
            for persona, rows in shown.items():
                if not {*table.key} <= {*rows.columns}:
                    break
                places = [rows.columns.index(column) for column in table.key]
                found = {names.get(tuple(str(row[place]) for place in places), "") for row in rows.rows}
                if "" in found:
                    break
                seen[persona] = found
            else:
                return {
                    Attempt(row, SELECT): {
                        persona: Access(columns=tuple(shown[persona].only))
                        for persona, rows_of in seen.items()
                        if row in rows_of
                    }
                    for row in names.values()
                }
        return {}

    def _names(self, table: Relation) -> dict[tuple[str, ...], str]:
        """The names of the rows of a table, by their keys."""
        rows = self.world.rows[table.name]
        missing = {name for of, name in self.world.missing if of == table.name}
        return {
            tuple(str(row[column]) for column in table.key): name
            for name, row in rows.items()
            if name not in missing and {*table.key} <= {*row}
        }


def _counted(shown: Mapping[str, Shown]) -> dict[Attempt, dict[str, Access]]:
    """The number of rows, where they have no names."""
    granted = {persona: Access(columns=tuple(rows.only), rows=len(rows.rows)) for persona, rows in shown.items()}
    return {Attempt("", SELECT): granted}


def statement(relation: Relation, privilege: str, columns: Sequence[str]) -> str:
    """A statement that needs a privilege on columns and changes no row."""
    names = [sql.Identifier(column).as_string() for column in columns]
    if privilege == "DELETE":
        return f"DELETE FROM {relation.sql} WHERE false"
    if privilege == "INSERT":
        nulls = ", ".join(["NULL"] * len(names))
        return f"INSERT INTO {relation.sql} ({', '.join(names)}) SELECT {nulls} WHERE false"
    return f"UPDATE {relation.sql} SET {', '.join(f'{name} = NULL' for name in names)} WHERE false"
