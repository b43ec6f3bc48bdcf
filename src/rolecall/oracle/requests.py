"""A check as a request: its own connection and transaction, committed in a separate database.

The probe tries thousands of statements in one session and rolls each back. Its outcomes must be those of a client
that signs in, sends one statement, and commits. This module is that client. Source for the steps of a request:
PostgREST's documentation, "Transactions".
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import psycopg
from psycopg import Connection, sql

from rolecall.access.custom_settings import custom_settings, initialize
from rolecall.access.session import login_for
from rolecall.database.run import Run
from rolecall.grids.probe import Check, Outcome
from rolecall.server.connection import connect


@dataclass(frozen=True)
class Response:
    """The outcome of a request: an SQLSTATE, or whether it reached its row."""

    sqlstate: str | None
    message: str | None
    reached: bool

    @property
    def word(self) -> str:
        return self.sqlstate or ("yes" if self.reached else "-")


@dataclass(frozen=True)
class Difference:
    """A check whose outcome in the probe differs from the outcome of a request."""

    check: Check
    outcome: Outcome
    response: Response

    def __str__(self) -> str:
        check, blind = self.check, "  (blind)" if self.check.blind else ""
        return (
            f"{check.persona.name}: {check.statement}{blind}\n"
            f"  the probe says  {self.outcome}\n"
            f"  a request gets  {self.response.word} {self.response.message or ''}".rstrip()
        )


def word_of(outcome: Outcome) -> str:
    """The outcome of a check in the words of :class:`Response`."""
    return outcome.broken or outcome.sqlstate or ("yes" if outcome.affected or outcome.touched else "-")


class Oracle:
    """Sends checks as requests to clones of a run's template. A clone is reused until a request has written to it.

    ``settings`` are the custom settings of personas.
    """

    def __init__(self, run: Run, name: str, settings: Iterable[str] = ()) -> None:
        self.run, self.name, self._of_personas = run, name, settings
        self._clones = 0
        self._stack = ExitStack()
        self._before: tuple[str, ...] | None = None  # the preparation of the current clone
        self._database = ""
        self._superuser: Connection[Any] | None = None

    def differences(self, results: Iterable[tuple[Check, Outcome]]) -> list[Difference]:
        """The checks whose outcome differs from that of the same statement as a request."""
        responses = [
            (check, outcome, self.send(check, word_of(outcome))) for check, outcome in results if not outcome.skipped
        ]
        return [
            Difference(check, outcome, response)
            for check, outcome, response in responses
            if word_of(outcome) != response.word
        ]

    def send(self, check: Check, word: str) -> Response:
        """Send one check as a request.

        Without a WHERE, it acts on every row: another row may be refused, or a trigger of it may write to this one. So
        a blind check whose outcome is not ``word`` is sent again to a table with this row only.
        """
        superuser = self._unchanged_clone(check.before)
        response = self._send(superuser, check)
        if check.blind and response.word != word:
            superuser = self._unchanged_clone(check.before)
            self._keep_only(superuser, check)
            response = self._send(superuser, check)
        return response

    def close(self) -> None:
        """Drop the current clone."""
        self._before = self._superuser = None
        self._stack.close()

    # -- databases

    def _unchanged_clone(self, before: tuple[str, ...]) -> Connection[Any]:
        """A superuser's connection to a clone in which only the preparation was committed."""
        if self._superuser is None or self._before != before:
            self.close()
            self._clones += 1
            self._database = self._stack.enter_context(
                self.run.clone(self.run.template, f"{self.name}_oracle_{self._clones}")
            )
            self._superuser = self._stack.enter_context(self.run.connect(self._database))
            for statement in before:
                if not _is_setting(statement):
                    self._superuser.execute(statement.encode())
            self._before = before
        return self._superuser

    def _mark_changed(self) -> None:
        """Note that something was committed: the next request needs a new clone."""
        self._before = None

    @cached_property
    def _settings(self) -> list[str]:
        with self.run.connect(self._database) as connection:
            return custom_settings(connection)

    # -- one request

    def _send(self, superuser: Connection[Any], check: Check) -> Response:
        if check.room:
            self._remove(superuser, check, check.condition)
        before = self._state_of(superuser, check)
        sqlstate = message = None
        row_count = 0
        with self._log_in(superuser, check.persona.role) as connection:
            initialize(connection, {*self._settings, *self._of_personas})
            try:
                row_count, has_written = _request(connection, check)
                if has_written:
                    self._mark_changed()
            except psycopg.Error as error:
                sqlstate, message = error.sqlstate, error.diag.message_primary
        changed = self._state_of(superuser, check) != before
        return Response(sqlstate, message, changed if check.blind else row_count > 0 or changed)

    def _log_in(self, superuser: Connection[Any], role: str) -> Connection[Any]:
        """A new connection of the role that logs in for ``role``.

        On a server that rolecall did not start, its password is unknown: the superuser logs in and switches to it.
        """
        login = login_for(superuser, role)
        if self.run.throwaway:
            target = self.run.conninfo.to(dbname=self._database, user=login)
            return connect(target, own=True, timeouts=self.run.timeouts)
        connection = self.run.connect(self._database)
        connection.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(login)))
        return connection

    def _state_of(self, superuser: Connection[Any], check: Check) -> Any:
        """The place of the row and the transaction that wrote it; for a view, its text."""
        state = "format('%s %s %s', tableoid, ctid, xmin)" if _is_table(superuser, check) else "rolecall_row::text"
        query = f"SELECT {state} FROM {check.target} AS rolecall_row WHERE {check.condition}"
        return superuser.execute(query.encode()).fetchall()

    def _keep_only(self, superuser: Connection[Any], check: Check) -> None:
        self._remove(superuser, check, f"({check.condition}) IS NOT TRUE")

    def _remove(self, superuser: Connection[Any], check: Check, condition: str) -> None:
        """Delete rows. For a table, bypass the triggers, rules and foreign keys that would keep them."""
        self._mark_changed()
        with superuser.transaction():
            if _is_table(superuser, check):
                superuser.execute("SET LOCAL session_replication_role = replica")
            superuser.execute(f"DELETE FROM {check.target} WHERE {condition}".encode())


def _is_table(superuser: Connection[Any], check: Check) -> bool:
    query = "SELECT FROM pg_class WHERE oid = %s::regclass AND relkind IN ('r', 'p')"
    return superuser.execute(query, [check.target]).fetchone() is not None


def _request(connection: Connection[Any], check: Check) -> tuple[int, bool]:
    """The number of rows that a request counts, and whether it wrote. Raises psycopg's error, also of COMMIT."""
    with connection.transaction():
        if check.method == "GET":
            connection.execute("SET TRANSACTION READ ONLY")
        for statement in check.before:
            if _is_setting(statement):
                connection.execute(statement.encode())
        settings = check.persona.settings(check.method)
        calls = ", ".join(["set_config(%s, %s, true)"] * len(settings))
        connection.execute(f"SELECT {calls}".encode(), [text for setting in settings for text in setting])
        cursor = connection.execute(check.statement.encode())
        row_count = cursor.rowcount
        row = connection.execute("SELECT pg_current_xact_id_if_assigned() IS NOT NULL").fetchone()
    return row_count, row == (True,)


def _is_setting(statement: str) -> bool:
    """Whether a preparation only sets a setting, and does not change the database."""
    import postgast
    from postgast.walk import unwrap_node

    for raw in postgast.parse(statement).stmts:
        node = unwrap_node(raw.stmt)
        if node.DESCRIPTOR.name == "VariableSetStmt":
            continue
        calls = [target.res_target.val.func_call.funcname for target in getattr(node, "target_list", [])]
        if not calls or any(not call or call[-1].string.sval != "set_config" for call in calls):
            return False
    return True
