"""Sessions: act as a persona exactly as PostgREST does, with a transaction-local role and the claims."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import psycopg
from psycopg import Connection, Cursor, sql
from psycopg.rows import tuple_row

from rolecall.access.persona import NO_PERSONA, Method, Persona
from rolecall.errors import RolecallError


@contextmanager
def advisory_locks_released(connection: Connection[Any]) -> Iterator[None]:
    """Release the session-level advisory locks that the block takes: a rollback does not.

    If the session holds such locks before the block, all of them stay: the new ones cannot be told apart.
    """
    query = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())"
    before = connection.execute(query).fetchone()
    yield
    if before == (False,):
        connection.execute("SELECT pg_advisory_unlock_all()")


def set_for_transaction(connection: Connection[Any], settings: Iterable[tuple[str, str]]) -> None:
    """Make settings until the end of the transaction, in their order and in one round trip."""
    values = [text for setting in settings for text in setting]
    calls = ", ".join(["set_config(%s, %s, true)"] * (len(values) // 2))
    connection.execute(f"SELECT {calls}".encode(), values)


class Recorder(Protocol):
    """Receives the statements and refusals of a session, to count the coverage."""

    def record_statement(self, text: str, persona: str | None) -> None: ...
    def record_success(self, text: str, role: str | None) -> None: ...
    def add(self, *fact: str) -> None: ...


# The role that PostgREST logs in as, before it switches to the role of the token.
AUTHENTICATOR = "authenticator"
LOGIN = """
SELECT l.rolname FROM pg_roles AS l, pg_roles AS r, pg_roles AS s
WHERE l.rolname = %s AND r.rolname = %s AND s.rolname = %s AND s.rolsuper AND pg_has_role(l.oid, r.oid, 'MEMBER')
"""
_logins: WeakKeyDictionary[Connection[Any], dict[str, str]] = WeakKeyDictionary()


def login_for(connection: Connection[Any], role: str) -> str:
    """The role to log in as before a switch to ``role``: the authenticator, if it exists and is a member of it.

    Without an authenticator, or if no superuser is connected, it is the connected user. A superuser's session could
    switch to any role, and the session of a request cannot.
    """
    logins = _logins.setdefault(connection, {})
    if role not in logins:
        cursor = connection.cursor(row_factory=tuple_row)
        row = cursor.execute(LOGIN, [AUTHENTICATOR, role, connection.info.user]).fetchone()
        logins[role] = row[0] if row else connection.info.user
    return logins[role]


class Session:
    """One transaction on a worker's database, which is rolled back after the test.

    It starts as the superuser, who bypasses all policies. :meth:`acting_as` and :meth:`reading_as` sign in as a
    persona. ``recorder`` receives every statement and every expected refusal.
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
        self._settings = NO_PERSONA
        self._initial: dict[str, str] = {}  # the values of personas' custom settings before the first persona
        self._recorder = recorder

    def execute(self, statement: str | sql.Composable, params: Any = None) -> Cursor[Any]:
        """Run a statement as the current persona, or as the superuser. The cursor has the rows and ``rowcount``.

        Raises psycopg's error. The transaction has then failed, unless the error is expected by :meth:`raises`.
        """
        return self._execute(self.connection.cursor(), statement, params)

    def _execute(self, cursor: Cursor[Any], statement: str | sql.Composable, params: Any) -> Cursor[Any]:
        text = statement if isinstance(statement, str) else statement.as_string()
        if self._recorder:
            self._recorder.record_statement(text, self.persona.name if self.persona else None)
        cursor.execute(text.encode(), params)
        if self._recorder:
            self._recorder.record_success(text, self.persona.role if self.persona else None)
        return cursor

    def rows(self, statement: str | sql.Composable, params: Any = None) -> list[tuple[Any, ...]]:
        """All rows of a query, as tuples."""
        return self._execute(self.connection.cursor(row_factory=tuple_row), statement, params).fetchall()

    def row(self, statement: str | sql.Composable, params: Any = None) -> tuple[Any, ...]:
        """The only row of a query. Raises AssertionError if there are none or several."""
        rows = self.rows(statement, params)
        if len(rows) != 1:
            raise AssertionError(f"expected one row, got {len(rows)}: {statement}")
        return rows[0]

    def value(self, statement: str | sql.Composable, params: Any = None) -> Any:
        """The only value of a query's only row."""
        (value,) = self.row(statement, params)
        return value

    def explain(self, query: str, params: Any = None) -> str:
        """The plan of a query as JSON (``EXPLAIN ANALYZE``).

        An index that finds the rows, or returns them in the requested order, counts as used.
        """
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
        """Sign in as a persona for the block. What it writes stays for the rest of the test.

        ``on`` is the table ("schema.name") for which the persona's ``setup`` runs. A ``setup`` that names no table
        runs without it too.
        """
        persona, before = self._persona(name), (self.persona, self._settings)
        if setup := persona.prepare(on):
            self.connection.execute(setup.encode())
        self._switch(persona, persona.settings(method))
        try:
            yield persona
        finally:
            # A failed transaction accepts no statement. Its rollback restores the settings.
            if self.connection.info.transaction_status != psycopg.pq.TransactionStatus.INERROR:
                self._switch(*before)
            else:
                self.persona, self._settings = before

    @contextmanager
    def reading_as(self, name: str, *, on: str | None = None) -> Iterator[Persona]:
        """Sign in for the block as for a GET: the transaction is READ ONLY, and rolled back at the end.

        ``on`` is that of :meth:`acting_as`.
        """
        with self.connection.transaction(force_rollback=True), self.acting_as(name, on=on, method="GET") as persona:
            self.connection.execute("SELECT set_config('transaction_read_only', 'on', true)")
            yield persona

    @contextmanager
    def raises(
        self, sqlstate: str, *, constraint: str | None = None, column: str | None = None, message: str | None = None
    ) -> Iterator[None]:
        """Expect the server to refuse the block with this SQLSTATE. The changes of the block are rolled back.

        ``constraint`` and ``column`` are the exact names that the server must report, ``message`` is a
        part of its text.
        Raises AssertionError if nothing is refused, or if the reason is another one.
        """
        before = self.persona, self._settings
        try:
            with self.connection.transaction():
                yield
        except psycopg.Error as error:
            self.persona, self._settings = before
            diag = error.diag
            expected = _reason(sqlstate, constraint, column, message)
            got = _reason(error.sqlstate, diag.constraint_name, diag.column_name, diag.message_primary)
            if not (
                error.sqlstate == sqlstate
                and constraint in (None, diag.constraint_name)
                and column in (None, diag.column_name)
                and (message or "") in (diag.message_primary or "")
            ):
                raise AssertionError(
                    f"refused for another reason\n  expected: {expected}\n  got:      {got}"
                ) from error
            if self._recorder and (constraint or column):
                self._recorder.add("refused", f"{diag.schema_name}.{diag.table_name}", constraint or column or "")
        else:
            raise AssertionError(f"nothing was refused; expected: {_reason(sqlstate, constraint, column, message)}")

    def _persona(self, name: str) -> Persona:
        try:
            return self.personas[name]
        except KeyError:
            raise RolecallError(f"unknown persona {name!r}: the world has {', '.join(self.personas)}.") from None

    def _switch(self, persona: Persona | None, settings: list[tuple[str, str]]) -> None:
        connection = self.connection
        login = login_for(connection, persona.role) if persona else connection.info.user
        self._remember(persona.custom if persona else ())
        of_others = [setting for setting in self._initial.items() if setting[0] not in dict(settings)]
        settings_with_login = [("session_authorization", login), *settings, *of_others]
        calls = ", ".join(["set_config(%s, %s, true)"] * len(settings_with_login))
        connection.execute(f"SELECT {calls}".encode(), [text for setting in settings_with_login for text in setting])
        self.persona, self._settings = persona, settings

    def _remember(self, names: Iterable[str]) -> None:
        """Note the values of settings that no persona has set yet. One that does not exist counts as ''.

        PostgreSQL cannot remove a custom setting from a session: after a rollback, too, it is ''.
        """
        for name in names:
            if name not in self._initial:
                query = "SELECT coalesce(current_setting(%s, true), '')"
                cursor = self.connection.cursor(row_factory=tuple_row)
                ((self._initial[name],),) = cursor.execute(query, [name]).fetchall()


def _nodes(plan: Any) -> Iterator[dict[str, Any]]:
    """The executed nodes of a plan."""
    for entry in plan:
        node = entry.get("Plan", entry)
        if node.get("Actual Loops"):
            yield node
        yield from _nodes(node.get("Plans", []))


def _reason(sqlstate: str | None, constraint: str | None, column: str | None, message: str | None) -> str:
    parts = [sqlstate or "no SQLSTATE"]
    parts += [f"constraint {constraint}"] if constraint else []
    parts += [f"column {column}"] if column else []
    parts += [f'"{message}"'] if message else []
    return ", ".join(parts)
