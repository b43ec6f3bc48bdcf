"""The world: personas and named example rows, described once and loaded into every template."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

import psycopg
from psycopg import Connection, sql
from psycopg.types.json import Jsonb

from rolecall.access.persona import NO_PERSONA, Persona, claims_of, custom_of, role_of
from rolecall.errors import RolecallError

Row = Mapping[str, Any]
UNLOADABLE = (psycopg.Error, ValueError, TypeError)  # refused, or a value of a type that has no SQL literal


class World:
    """The personas and the example rows. Rows keep the order in which they were added.

    A row has a name that says who owns it ("alice's note"). A grid has a heading for each row of its table.
    """

    def __init__(self) -> None:
        self.personas: dict[str, Persona] = {}
        self.rows: dict[str, dict[str, Row]] = {}
        # The rows that the database of the tests does not have, by table and name, with the reason.
        self.missing: Mapping[tuple[str, str], str] = {}
        # The columns that are GENERATED ALWAYS AS IDENTITY, by table: a client cannot insert a value of its own.
        self.identities: Mapping[str, Collection[str]] = {}
        # The rows that are not inserted by a superuser, with the persona that inserts them. None: they exist already.
        self._makers: dict[tuple[str, str], Persona | None] = {}
        self._names: dict[str, Any] = {}

    def persona(
        self,
        name: str,
        role: str,
        *,
        subject: str | UUID | None = None,
        setup: str = "",
        settings: Mapping[str, object] | None = None,
        **claims: Any,
    ) -> Persona:
        """Add a persona: a database role and the claims of its token.

        ``subject`` becomes the claim ``sub``. ``setup`` is SQL that a superuser runs before the persona acts on
        ``{table}`` (in ``{schema}``); it is rolled back afterwards. ``settings`` are custom settings that the
        application sets for its requests, such as ``{"app.tenant_id": 7}``. Raises RolecallError if the name exists,
        for a role that is no name, for a claim that JSON cannot have, and for a setting that has no dot in its name or
        a value that is no text, number, bool or UUID.
        """
        if name in self.personas:
            raise RolecallError(f"the world has two personas named {name!r}.")
        if subject is not None:
            claims = {"sub": subject, **claims}
        role, custom = role_of(name, role), custom_of(name, settings or {})
        self.personas[name] = Persona(name, role, claims_of(name, {**claims, "role": role}), setup, custom)
        return self.personas[name]

    def add(self, table: str, name: str, /, **columns: Any) -> Row:
        """Add a row to ``table`` ("schema.name"). Returns its columns.

        Raises RolecallError if the name exists, and for a table without its schema.
        """
        if not isinstance(table, str) or not all(map(str.strip, table.partition("."))):
            text = 'write the table with its schema, such as "public.notes".'
            raise RolecallError(f"the world's row {name!r} is one of {table!r}: {text}")
        rows = self.rows.setdefault(table, {})
        if name in rows:
            raise RolecallError(f"the world has two rows named {name!r} in {table}.")
        rows[name] = columns
        return columns

    def add_as(self, persona: str, table: str, name: str, /, **columns: Any) -> Row:
        """Add a row that a persona inserts, because a trigger or a default asks who acts.

        Returns its columns. Raises RolecallError if the name exists, or the persona does not.
        """
        if persona not in self.personas:
            raise RolecallError(f"unknown persona {persona!r}: the world has {', '.join(self.personas) or 'none'}.")
        self._makers[table, name] = self.personas[persona]
        return self.add(table, name, **columns)

    def existing(self, table: str, name: str, /, **columns: Any) -> Row:
        """Name a row that a trigger, a migration or the seed makes. It is not inserted.

        Exactly one row must have these columns when its turn comes: after the rows before it. Grids try to insert a
        row with them, so give all that an insert needs. Returns them. Raises RolecallError if the name exists.
        """
        self._makers[table, name] = None
        return self.add(table, name, **columns)

    def row(self, table: str, name: str) -> Row:
        """The columns of a row.

        Raises RolecallError, with the existing names, if there is no such row, and if it could not be loaded.
        """
        self.require(table, name)
        try:
            return self.rows[table][name]
        except KeyError:
            existing = ", ".join(map(repr, self.rows.get(table, {}))) or "none"
            raise RolecallError(f"the world has no row {name!r} in {table}; it has: {existing}.") from None

    def require(self, table: str, name: str) -> None:
        """Raises RolecallError if the database of the tests does not have a row."""
        if (table, name) in self.missing:
            raise RolecallError(self.problem(table, name))

    def problem(self, table: str, name: str) -> str:
        """Why a row is missing, in one sentence."""
        return f"the world's row {name!r} of {table} cannot be loaded: {self.missing[table, name]}"

    def restricted(self, columns: Mapping[str, Collection[str]]) -> World:
        """The same world for a database that has only these columns, by table."""
        other = copy(self)
        other.missing = {}
        other.rows = {
            table: {
                name: {column: value for column, value in row.items() if column in columns[table]}
                for name, row in rows.items()
            }
            for table, rows in self.rows.items()
            if table in columns
        }
        return other

    def alias(self, name: str, value: Any) -> Any:
        """Let ``{name}`` stand for a value in the grids. Returns the value."""
        self._names[name] = value
        return value

    def names(self) -> dict[str, Any]:
        """The values that ``{…}`` may stand for in a grid: every persona's subject, and every alias."""
        subjects = {p.name: p.claims["sub"] for p in self.personas.values() if "sub" in p.claims}
        return subjects | self._names

    @property
    def settings(self) -> set[str]:
        """The names of the custom settings that personas have."""
        return {name for persona in self.personas.values() for name in persona.custom}

    def insertable(self, table: str, name: str) -> Row:
        """The columns of a row that a client may insert. Raises RolecallError as :meth:`row` does."""
        identities = self.identities.get(table, ())
        return {column: value for column, value in self.row(table, name).items() if column not in identities}

    def load(self, connection: Connection[Any]) -> None:
        """Make all rows, in order, as the connection's current role. Raises RolecallError with the row that fails."""
        try:
            with connection.transaction():
                self._make_together(connection)
        except UNLOADABLE:
            if connection.closed:
                raise
            self._make_one_by_one(connection)

    def _make_together(self, connection: Connection[Any]) -> None:
        """Make all rows; those that the current role inserts, in as few round trips as possible."""
        rows = ((self.is_inserted(table, name), table, name) for table, name, _ in self)
        for is_inserted, group in groupby(rows, key=itemgetter(0)):
            if is_inserted:
                inserts = [insert(table, self.rows[table][name], overriding=True) for _, table, name in group]
                connection.execute(sql.SQL(";\n").join(inserts))
            else:
                for _, table, name in group:
                    self.make(connection, table, name)

    def _make_one_by_one(self, connection: Connection[Any]) -> None:
        for table, name, _ in self:
            try:
                self.make(connection, table, name)
            except UNLOADABLE as error:
                text = f"the world cannot be loaded: {_printable(table)} {name!r}: {reason(error)}"
                raise RolecallError(text) from error

    def make(self, connection: Connection[Any], table: str, name: str) -> None:
        """Insert a row, or look for it if it exists already. Raises one of UNLOADABLE.

        Each row has its place in the order: rows of one table come together, and tables as they were first named.
        """
        row = self.rows[table][name]
        if self.is_existing(table, name):
            _find(connection, table, row)
        elif persona := self.maker(table, name):
            with as_persona(connection, persona):
                connection.execute(insert(table, {**row}))
        else:
            connection.execute(insert(table, row, overriding=True))

    def is_existing(self, table: str, name: str) -> bool:
        """Whether something else makes a row, so that it is not inserted."""
        return self._makers.get((table, name), ...) is None

    def is_inserted(self, table: str, name: str) -> bool:
        """Whether the current role inserts a row: no persona does, and nothing else makes it."""
        return (table, name) not in self._makers

    def maker(self, table: str, name: str) -> Persona | None:
        """The persona that inserts a row; None if it is a superuser, or if the row is not inserted."""
        return self._makers.get((table, name))

    def __iter__(self) -> Iterator[tuple[str, str, Row]]:
        for table, rows in self.rows.items():
            for name, row in rows.items():
                yield table, name, row


def reason(error: Exception) -> str:
    """The message of an error, without the statement, which may be long."""
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        detail = error.diag.message_detail
        return _printable(error.diag.message_primary) + (f"\nDETAIL: {_printable(detail)}" if detail else "")
    return _printable(str(error))


def _printable(text: str) -> str:
    """A text in one line."""
    return " ".join(text.split())


def insert(table: str, row: Row, *, overriding: bool = False) -> sql.Composed:
    """``INSERT INTO table (…) VALUES (…)`` with the row's values as literals.

    With ``overriding``, an identity column takes the row's value, also if it is GENERATED ALWAYS.
    """
    return sql.SQL("INSERT INTO {} ({}){} VALUES ({})").format(
        sql.Identifier(*table.split(".", 1)),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(" OVERRIDING SYSTEM VALUE" if overriding else ""),
        sql.SQL(", ").join(literal(value) for value in row.values()),
    )


def matching(columns: Row) -> str:
    """The SQL condition that selects the rows with these values."""
    terms = [
        sql.SQL("{} IS NULL").format(sql.Identifier(column))
        if value is None
        else sql.SQL("{} = {}").format(sql.Identifier(column), literal(value))
        for column, value in columns.items()
    ]
    return sql.SQL(" AND ").join(terms).as_string()


def literal(value: Any) -> sql.Literal:
    """A value as an SQL literal; a dict goes in as jsonb."""
    return sql.Literal(Jsonb(value) if isinstance(value, dict) else value)


def _find(connection: Connection[Any], table: str, row: Row) -> None:
    """Raises ValueError unless exactly one row has these values."""
    name = sql.Identifier(*table.split(".", 1)).as_string()
    ((count,),) = connection.execute(f"SELECT count(*) FROM {name} WHERE {matching(row)}".encode()).fetchall()
    if count != 1:
        what = "it does not exist" if count == 0 else f"{count} rows exist"
        raise ValueError(f"{what} where {matching(row)}: world.existing() is for a row that something else has made")


@contextmanager
def as_persona(connection: Connection[Any], persona: Persona) -> Iterator[None]:
    """Act as a persona for the block. If it fails, a savepoint around it restores the session."""
    for setting in persona.settings("POST"):
        connection.execute("SELECT set_config(%s, %s, true)", setting)
    yield
    for setting in [*NO_PERSONA, *((name, "") for name in persona.custom)]:
        connection.execute("SELECT set_config(%s, %s, true)", setting)
