"""Personas, and acting as one exactly as PostgREST does: transaction-local role, then the claims.

Source: PostgREST's documentation, "Transactions": the settings that it makes before each request.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol
from weakref import WeakKeyDictionary

import psycopg
from psycopg import Connection, Cursor, sql

from rolecall.errors import RolecallError

Method = Literal["GET", "POST", "PATCH", "DELETE"]


@dataclass(frozen=True)
class Persona:
    """A client that sends requests: a database role, and the claims of the token of each request.

    ``setup`` is SQL that a superuser runs before the persona acts on ``{schema}`` and ``{table}``
    (qualified); it is undone afterwards. It is for an unusual state, such as a mistaken grant.
    """

    name: str
    role: str
    claims: Mapping[str, Any] = field(hash=False)
    setup: str = ""

    @property
    def subject(self) -> str:
        """The claim ``sub``: the id of the user. Raises RolecallError if the token has none."""
        if (subject := self.claims.get("sub")) is None:
            raise RolecallError(f"the persona {self.name!r} has no subject: its token has no claim 'sub'.")
        return str(subject)

    @cached_property
    def token(self) -> str:
        """The claims as JSON: the value of the setting ``request.jwt.claims``."""
        return json.dumps(dict(self.claims))

    def settings(self, method: Method) -> list[tuple[str, str]]:
        """The settings that PostgREST makes for a request with this token, in its order: names and values."""
        return [
            ("role", self.role),
            ("request.jwt.claims", self.token),
            ("request.method", method),
            ("request.path", "/"),
            ("request.headers", "{}"),
        ]

    def prepare(self, table: str) -> str:
        """``setup`` with the names of the table ("schema.name") and its schema filled in; empty without a ``setup``."""
        schema, name = table.split(".")
        return sql.SQL(self.setup).format(schema=sql.Identifier(schema), table=sql.Identifier(schema, name)).as_string()


# What stands in a session between two requests: the settings are '' there, not NULL.
NOBODY = [("role", "none"), *((name, "") for name, _ in Persona("", "", {}).settings("GET")[1:])]


# The names of custom settings ("app.tenant") that policies, functions, views, defaults and constraints read.
CUSTOM_SETTINGS = r"""
WITH code (text) AS (
  SELECT concat_ws(' ', pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) FROM pg_policy
  UNION ALL
  SELECT concat_ws(' ', prosrc, pg_get_function_sqlbody(oid)) FROM pg_proc WHERE oid >= 16384
  UNION ALL
  SELECT pg_get_viewdef(oid) FROM pg_class WHERE relkind IN ('v', 'm') AND oid >= 16384
  UNION ALL
  SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef
  UNION ALL
  SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0
  UNION ALL
  SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
)
SELECT DISTINCT name[1]
FROM code,
  regexp_matches(text, $re$current_setting\s*\(\s*'([A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*)+)'$re$, 'gi') AS name
"""


def custom_settings(connection: Connection[Any]) -> list[str]:
    """The names of the custom settings that the schema reads, and of those that a request sets.

    A name that the schema puts together at run time is not known.
    """
    read = {name for (name,) in connection.execute(CUSTOM_SETTINGS.encode())}
    return sorted(read | {name for name, _ in NOBODY[1:]})


def settle(connection: Connection[Any], names: Iterable[str]) -> None:
    """Set custom settings once, and forget the values.

    A setting that was never made is NULL; one that was made in any transaction before is ''. Which of the two a
    test meets must not depend on the tests before it: here all are '', as on a connection that a pool hands out
    again.
    """
    for name in names:
        with suppress(psycopg.Error), connection.transaction(force_rollback=True):  # a name that an extension reserves
            connection.execute("SELECT set_config(%s, '', true)", [name])


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


class Witness(Protocol):
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
        witness: Witness | None = None,
    ) -> None:
        self.connection = connection
        self.personas = personas
        self.persona: Persona | None = None
        self._settings = NOBODY
        self._witness = witness

    def execute(self, statement: str | sql.Composable, params: Any = None) -> Cursor[Any]:
        """Run a statement as whoever is signed in; the cursor has the rows and ``rowcount``.

        Raises psycopg's error, after which only a block of :meth:`raises` can go on.
        """
        text = statement if isinstance(statement, str) else statement.as_string()
        if self._witness:
            self._witness.statement(text, self.persona.name if self.persona else None)
        cursor = self.connection.execute(text.encode(), params)
        if self._witness:
            self._witness.worked(text, self.persona.role if self.persona else None)
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

    def plan(self, query: str, params: Any = None) -> str:
        """How the server answers a query (``EXPLAIN ANALYZE``). An index that finds its rows, or gives them
        in the order that is asked for, counts as having served."""
        options = "ANALYZE, COSTS off, TIMING off, SUMMARY off, BUFFERS off, FORMAT json"
        plan = self.value(f"EXPLAIN ({options}) {query}", params)
        if self._witness:
            nodes = list(_nodes(plan))
            sorts = any("Sort" in node["Node Type"] for node in nodes)
            for node in nodes:
                if "Index Name" in node and ("Index Cond" in node or ("order by" in query.lower() and not sorts)):
                    self._witness.add("served", node["Index Name"])
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
            if self._witness and (constraint or column):
                self._witness.add("refused", f"{said.schema_name}.{said.table_name}", constraint or column or "")
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
