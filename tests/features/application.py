"""The application: it sends requests as its users, and each request is a transaction of its own that is committed.

A request does what PostgREST does: it connects as ``authenticator``, takes the role and the claims of the token, and
reads in a READ ONLY transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from rolecall import World
from rolecall.access.persona import Method
from rolecall.access.world import insert, literal
from rolecall.database.scratch import Scratch
from tests.attacks.sessions import connect

Row = dict[str, Any]
DENIED = "42501"


class Application:
    """The users of one database, and the requests that they send. ``cleanup`` is closed after the test."""

    def __init__(self, scratch: Scratch, world: World, cleanup: ExitStack) -> None:
        self.scratch, self.world, self.cleanup = scratch, world, cleanup

    def id_of(self, persona: str) -> str:
        """The id of the user that a persona is."""
        return self.world.personas[persona].subject

    def named(self, name: str) -> Any:
        """A value that the world has a name for, such as the id of a salon."""
        return self.world.names()[name]

    # -- requests

    def request(
        self, persona: str, method: Method, statement: str | sql.Composable, params: Any = None, **settings: str
    ) -> list[Row]:
        """Send one request; returns its rows. ``settings`` are those that another service than PostgREST makes.

        Raises psycopg's error if it is refused.
        """
        who = self.world.personas[persona]
        text = statement if isinstance(statement, str) else statement.as_string()
        with connect(self.scratch.run, self.scratch.name) as connection, connection.transaction():
            if method == "GET":
                connection.execute("SET TRANSACTION READ ONLY")
            for setting in [*who.settings(method), *settings.items()]:
                connection.execute("SELECT set_config(%s, %s, true)", setting)
            cursor = connection.cursor(row_factory=dict_row).execute(text.encode(), params)
            return cursor.fetchall() if cursor.description else []

    def get(self, persona: str, query: str, params: Any = None) -> list[Row]:
        """``.from(…).select(…)``"""
        return self.request(persona, "GET", query, params)

    def post(self, persona: str, table: str, /, **row: Any) -> Row:
        """``.from(table).insert(row).select()``: the new row."""
        (created,) = self.request(persona, "POST", insert(table, row) + sql.SQL(" RETURNING *"))
        return created

    def patch(self, persona: str, table: str, key: Any, /, **values: Any) -> list[Row]:
        """``.from(table).update(values).eq('id', key).select()``: the rows that were changed."""
        assignments = sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), literal(value)) for name, value in values.items()
        )
        query = sql.SQL("UPDATE {} SET {} WHERE id = {} RETURNING *")
        return self.request(persona, "PATCH", query.format(_name(table), assignments, sql.Literal(key)))

    def delete(self, persona: str, table: str, key: Any, **settings: str) -> list[Row]:
        """``.from(table).delete().eq('id', key).select()``: the rows that were deleted."""
        query = sql.SQL("DELETE FROM {} WHERE id = {} RETURNING *").format(_name(table), sql.Literal(key))
        return self.request(persona, "DELETE", query, **settings)

    def rpc(self, persona: str, function: str, /, **arguments: Any) -> Any:
        """``.schema(…).rpc(function, arguments)``: the value, or the rows of a function that returns a table."""
        named = sql.SQL(", ").join(
            sql.SQL("{} => {}").format(sql.Identifier(name), literal(value)) for name, value in arguments.items()
        )
        rows = self.request(persona, "POST", sql.SQL("SELECT * FROM {}({})").format(_name(function), named))
        name = function.split(".")[1]
        return rows[0][name] if rows and list(rows[0]) == [name] else rows


def _name(qualified: str) -> sql.Identifier:
    return sql.Identifier(*qualified.split("."))


@contextmanager
def refused(sqlstate: str, message: str = "") -> Iterator[None]:
    """The request in this block must be refused with this SQLSTATE, and with this part of a message."""
    with pytest.raises(psycopg.Error) as caught:
        yield
    assert (caught.value.sqlstate, message in str(caught.value)) == (sqlstate, True), caught.value
