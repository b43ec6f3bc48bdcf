"""Run an SQL file as ``psql -f`` does: one statement after the other, in the transactions that the file itself has."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.pq import TransactionStatus

from rolecall.sql import session_state
from rolecall.sql.files import Execution, Identity, Privileged, Rewrite, check
from rolecall.sql.script import ENDS, Statement, parse
from rolecall.sql.text import refusal

NESTED = (
    "the file has transactions of its own, or a statement that cannot run in one, and this database has one open: use "
    "rolecall_scratch()."
)
OPEN = "the transaction that begins here is still open at the end of the file: write COMMIT."
ALONE = frozenset(
    {"vacuum_stmt", "alter_system_stmt", "createdb_stmt", "dropdb_stmt", "create_table_space_stmt"}
    | {"drop_table_space_stmt"}
)
# The statements that may create or change roles, as far as their text shows.
ABOUT_ROLES = frozenset({"create_role_stmt", "alter_role_stmt", "grant_role_stmt", "do_stmt"})

Marking = Callable[[], AbstractContextManager[None]]


def is_needed(text: str) -> bool:
    """Whether a text ends transactions itself, or has a statement that cannot run in one."""
    script = parse(text)
    ends = any(each.message == ENDS for each in script.refusals)
    return ends or any(_runs_alone(statement) for statement in script.statements)


def _runs_alone(statement: Statement) -> bool:
    import postgast  # 0.1 s to import

    from rolecall.sql.tree import walk

    if statement.kind == "vacuum_stmt":
        return bool(postgast.parse(statement.text).stmts[0].stmt.vacuum_stmt.is_vacuumcmd)  # and not ANALYZE
    if statement.kind in ALONE:
        return True
    if "concurrently" not in statement.text.lower() or statement.kind in (None, "refresh_mat_view_stmt"):
        return False
    nodes = [*walk(postgast.parse(statement.text).stmts[0].stmt)]
    return any(getattr(node, "concurrent", False) or getattr(node, "defname", "") == "concurrently" for node in nodes)


def run(
    connection: Connection[Any],
    path: Path,
    text: str,
    *,
    role: str | None = None,
    privileged: Privileged = lambda _: False,
    rewrite: Rewrite | None = None,
    marking: Marking = nullcontext,
) -> None:
    """Run the text of a file. What a statement has committed stays, even if a later one fails.

    ``marking`` is a block around each statement that may create roles; it is the connected role that enters and leaves
    it. The rest is as in :func:`rolecall.sql.files.run`. Raises SqlError, also if a transaction is open on the
    connection, or is still open at the end of the file.
    """
    script = parse(text)
    refusals = tuple(each for each in script.refusals if each.message != ENDS)
    check(path, text, replace(script, refusals=refusals), role)
    execution = _Piecewise(connection, path, text, script, role, privileged, rewrite)
    execution.marking = marking
    execution.run()


class _Piecewise(Execution):
    """One run of one file, in autocommit mode."""

    marking: Marking

    def _run(self) -> None:
        if self.nested:
            raise refusal(self.path, self.text, self.script.statements[0].start, NESTED)
        before = session_state.read(self.connection, self.script, "DISCARD SEQUENCES")
        identity = Identity(self.connection, self.role, before, scope="SESSION")
        try:
            identity.become()
            self._statements(identity)
        except BaseException as error:
            with suppress(psycopg.Error):  # a further error would hide the first one
                self._leave(identity, before)
            if isinstance(error, psycopg.Error):
                raise self._error(error) from error
            raise
        self._leave(identity, before)

    def _statements(self, identity: Identity) -> None:
        begins = 0  # where the current transaction begins
        for statement in self.script.statements:
            self.statement = statement
            was_open = self._is_open
            if statement.kind in ABOUT_ROLES:
                self._mark(statement, identity)
            elif not self._runs_privileged(statement, identity):
                self._send(statement)
            if self._is_open and not was_open:
                begins = statement.start
            if complaint := identity.complaint(statement):
                raise refusal(self.path, self.text, statement.start, complaint)
        if self._is_open:
            raise refusal(self.path, self.text, begins, OPEN)

    def _send(self, statement: Statement) -> None:
        self._execute(self.rewrite(self.path, self.text, statement) if self.rewrite else statement.text)

    def _mark(self, statement: Statement, identity: Identity) -> None:
        """Run a statement that may create roles. Only the connected role may mark them."""
        identity.restore()
        with self.marking():
            identity.become()
            self._send(statement)
            identity.restore()
        identity.become()

    @property
    def _is_open(self) -> bool:
        return self.connection.info.transaction_status != TransactionStatus.IDLE

    def _leave(self, identity: Identity, before: session_state.State) -> None:
        """End the file's session, as far as the connection still works."""
        if self.connection.broken or self.connection.closed:
            return
        if self.connection.info.transaction_status == TransactionStatus.ACTIVE:
            self._end_copy()
        if self._is_open:
            self._execute("ROLLBACK")
        identity.restore()
        after = session_state.read(self.connection, self.script)
        session_state.restore(self.connection, self.script, before, after)
