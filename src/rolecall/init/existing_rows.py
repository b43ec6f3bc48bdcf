"""Rows that something else makes, as a trigger makes the profile of a new user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg import Connection, sql
from psycopg.rows import dict_row

from rolecall.access.world import insert, literal, matching, reason
from rolecall.init.shape import Table

MANY = 20  # rows among which one is looked for
FEW = 4  # rows of a table that migrations inserted, to be named one by one


class ExistingRows:
    """Finds and changes rows. ``seed`` are the statements that repeat the changes before the world is loaded."""

    def __init__(self, connection: Connection[Any]) -> None:
        self.connection = connection
        self.seed: list[str] = []

    def find(
        self, table: Table, wanted: Mapping[str, Any], known: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any] | None:
        """The row with a key of a wanted one, if it exists and is none of the ``known``."""
        for columns in table.unique.values():
            key = {column: wanted[column] for column in columns if wanted.get(column) is not None}
            if len(key) == len(columns):
                with self.connection.cursor(row_factory=dict_row) as cursor:
                    name = sql.Identifier(*table.name.split(".", 1)).as_string()
                    row = cursor.execute(f"SELECT * FROM {name} WHERE {matching(key)}".encode()).fetchone()
                if row and row not in known:
                    return row
        return None

    def like(
        self, table: Table, wanted: Mapping[str, Any], known: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any] | None:
        """The first row with these values that is none of the ``known``: one of those that a trigger makes."""
        if not wanted:
            return None
        name = sql.Identifier(*table.name.split(".", 1)).as_string()
        columns = next((each for each in table.unique.values() if list(each) != list(table.key)), table.key)
        order = " ORDER BY " + ", ".join(map(_quoted, columns)) if columns else ""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            query = f"SELECT * FROM {name} WHERE {matching(wanted)}{order} LIMIT {MANY}"
            rows = cursor.execute(query.encode()).fetchall()
        return next((row for row in rows if row not in known), None)

    def all(self, table: Table) -> list[dict[str, Any]]:
        """The rows of a table that has a few; none of a table with many."""
        name = sql.Identifier(*table.name.split(".", 1)).as_string()
        with self.connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(f"SELECT * FROM {name} LIMIT {FEW + 1}".encode()).fetchall()
        return rows if len(rows) <= FEW else []

    def change(
        self,
        table: Table,
        row: Mapping[str, Any],
        changed: Mapping[str, Any],
        user: tuple[str, Mapping[str, Any]] | None,
    ) -> str:
        """Change a row that a trigger made for a new user, of whom ``user`` has the table and the columns.

        Returns the error; empty if it was changed.
        """
        if user is None or not table.key:
            return "a trigger makes the row, and it is not known for whom"
        sets = sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(column), literal(value)) for column, value in changed.items()
        )
        key = sql.SQL(matching({column: plain(row[column]) for column in table.key}))
        name = sql.Identifier(*table.name.split(".", 1))
        statement = sql.SQL("UPDATE {} SET {} WHERE {}").format(name, sets, key).as_string()
        try:
            with self.connection.transaction():
                self.connection.execute(statement.encode())
        except psycopg.Error as error:
            return reason(error)
        proposed = insert(*user).as_string()
        self.seed += [*([proposed] if proposed not in self.seed else []), statement]
        return ""


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string()


def plain(value: Any) -> Any:
    """A value of the database as one that can be written in Python."""
    return str(value) if isinstance(value, (UUID, date, datetime)) else value
