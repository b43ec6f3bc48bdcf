"""Sessions: acting as a persona exactly as PostgREST does, with a transaction-local role and then the claims."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import psycopg
from psycopg import Connection, Cursor, sql

from rolecall.access.persona import NOBODY, Method, Persona
from rolecall.errors import RolecallError


@contextmanager
def advisory_locks_released(connection: Connection[Any]) -> Iterator[None]:
    """A block after which the session holds no advisory lock that the block took: a rollback keeps those.

    Where the session held some before, all stay: which of them are the block's cannot be told.
    """
    held = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())"
    before = connection.execute(held).fetchone()
    yield
    if before == (False,):
        connection.execute("SELECT pg_advisory_unlock_all()")


class Recorder(Protocol):
    """Who wants to know what a session did."""

    def statement(self, text: str, persona: str | None) -> None: ...
    def worked(self, text: str, role: str | None) -> None: ...
    def add(self, *fact: str) -> None: ...


# Who logs in for everybody, as PostgREST does, and then becomes the role of the token.
AUTHENTICATOR = "authenticator"
LOGIN = """
SELECT l.rolname FROM pg_roles AS l, pg_roles AS r, pg_roles AS s
WHERE l.rolname = %s AND r.rolname = %s AND s.rolname = %s AND s.rolsuper AND pg_has_role(l.oid, r.oid, 'MEMBER')
"""
_logins: WeakKeyDictionary[Connection[Any], dict[str, str]] = WeakKeyDictionary()


def login_for(connection: Connection[Any], role: str) -> str:
    """Who logs in for a role: the authenticator, if a superuser is connected, and if it exists and may.

    Otherwise whoever is connected. A superuser's session could become any role, and a request's cannot.
    """
    logins = _logins.setdefault(connection, {})
    if role not in logins:
        row = connection.execute(LOGIN, [AUTHENTICATOR, role, connection.info.user]).fetchone()
        logins[role] = row[0] if row else connection.info.user
    return logins[role]


class Session:
    """One transaction on a worker's database: everything that a test does with it is undone.

    It starts as the superuser, past all policies; :meth:`acting_as` and :meth:`reading_as` sign in.
    ``witness`` is told what was run, by whom, and what was refused.
    """

    def __init__(
        self,
        connection: Connection[Any],
        personas: Mapping[str, Persona],
        recorder: Recorder | None = None,
    ) -> None:
        self.connection = connection
        self.personas = personas
        self.persona: Persona | None = None
        self._settings = NOBODY
        self._recorder = recorder

    def execute(self, statement: str | sql.Composable, params: Any = None) -> Cursor[Any]:
        """Run a statement as whoever is signed in; the cursor has the rows and ``rowcount``.

        Raises psycopg's error, after which only a block of :meth:`raises` can go on.
        """
        text = statement if isinstance(statement, str) else statement.as_string()
        if self._recorder:
            self._recorder.statement(text, self.persona.name if self.persona else None)
        cursor = self.connection.execute(text.encode(), params)
        if self._recorder:
            self._recorder.worked(text, self.persona.role if self.persona else None)
        return cursor

    def rows(self, statement: str | sql.Composable, params: Any = None) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self.execute(statement, params).fetchall()

    def row(self, statement: str | sql.Composable, params: Any = None) -> tuple[Any, ...]:
        """The only row of a query. Raises AssertionError if there are none or several."""
        rows = self.rows(statement, params)
        if len(rows) != 1:
            raise AssertionError(f"one row expected, {len(rows)} came: {statement}")
        return rows[0]

    def value(self, statement: str | sql.Composable, params: Any = None) -> Any:
        """The only value of a query's only row."""
        (value,) = self.row(statement, params)
        return value

    def explain(self, query: str, params: Any = None) -> str:
        """How the server answers a query (``EXPLAIN ANALYZE``). An index that finds its rows, or gives them
        in the order that is asked for, counts as having served."""
        options = "ANALYZE, COSTS off, TIMING off, SUMMARY off, BUFFERS off, FORMAT json"
        plan = self.value(f"EXPLAIN ({options}) {query}", params)
        if self._recorder:
            nodes = list(_nodes(plan))
            sorts = any("Sort" in node["Node Type"] for node in nodes)
            for node in nodes:
                if "Index Name" in node and ("Index Cond" in node or ("order by" in query.lower() and not sorts)):
                    self._recorder.add("served", node["Index Name"])
        return json.dumps(plan, indent=2)

    @contextmanager
    def acting_as(self, name: str, *, on: str | None = None, method: Method = "POST") -> Iterator[Persona]:
        """Sign in as a persona for the block; what it writes stays for the rest of the test.

        ``on`` names the table ("schema.name") for which the persona's ``setup`` is done.
        """
        persona, before = self._persona(name), (self.persona, self._settings)
        if on and persona.setup:
            self.connection.execute(persona.prepare(on).encode())
        self._switch(persona, persona.settings(method))
        try:
            yield persona
        finally:
            # In a transaction that failed nothing can be switched; its rollback does it.
            if self.connection.info.transaction_status != psycopg.pq.TransactionStatus.INERROR:
                self._switch(*before)
            else:
                self.persona, self._settings = before

    @contextmanager
    def reading_as(self, name: str) -> Iterator[Persona]:
        """Sign in for the block as for a GET: the transaction is READ ONLY, and undone at the end."""
        with self.connection.transaction(force_rollback=True), self.acting_as(name, method="GET") as persona:
            self.connection.execute("SELECT set_config('transaction_read_only', 'on', true)")
            yield persona

    @contextmanager
    def raises(
        self, sqlstate: str, *, constraint: str | None = None, column: str | None = None, message: str | None = None
    ) -> Iterator[None]:
        """The block must be refused by the server with this SQLSTATE; what it did is undone.

        ``constraint`` and ``column`` are the exact names that the server must report, ``message`` is a
        part of its text.
        Raises AssertionError if nothing was refused, or if it was for another reason.
        """
        before = self.persona, self._settings
        try:
            with self.connection.transaction():
                yield
        except psycopg.Error as error:
            self.persona, self._settings = before
            said = error.diag
            wanted = _reason(sqlstate, constraint, column, message)
            got = _reason(error.sqlstate, said.constraint_name, said.column_name, said.message_primary)
            if not (
                error.sqlstate == sqlstate
                and constraint in (None, said.constraint_name)
                and column in (None, said.column_name)
                and (message or "") in (said.message_primary or "")
            ):
                raise AssertionError(f"refused for another reason\n  expected: {wanted}\n  got:      {got}") from error
            if self._recorder and (constraint or column):
                self._recorder.add("refused", f"{said.schema_name}.{said.table_name}", constraint or column or "")
        else:
            raise AssertionError(f"nothing was refused; expected: {_reason(sqlstate, constraint, column, message)}")

    def _persona(self, name: str) -> Persona:
        try:
            return self.personas[name]
        except KeyError:
            raise RolecallError(f"no persona is named {name!r}; there are: {', '.join(self.personas)}.") from None

    def _switch(self, persona: Persona | None, settings: list[tuple[str, str]]) -> None:
        connection = self.connection
        login = login_for(connection, persona.role) if persona else connection.info.user
        settings_with_login = [("session_authorization", login), *settings]
        calls = ", ".join(["set_config(%s, %s, true)"] * len(settings_with_login))
        connection.execute(f"SELECT {calls}".encode(), [text for setting in settings_with_login for text in setting])
        self.persona, self._settings = persona, settings


def _nodes(plan: Any) -> Iterator[dict[str, Any]]:
    """Every node of a plan that was run."""
    for each in plan:
        node = each.get("Plan", each)
        if node.get("Actual Loops"):
            yield node
        yield from _nodes(node.get("Plans", []))


def _reason(sqlstate: str | None, constraint: str | None, column: str | None, message: str | None) -> str:
    parts = [sqlstate or "no SQLSTATE"]
    parts += [f"constraint {constraint}"] if constraint else []
    parts += [f"column {column}"] if column else []
    parts += [f'"{message}"'] if message else []
    return ", ".join(parts)
