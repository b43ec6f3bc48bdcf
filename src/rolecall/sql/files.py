"""Run an SQL file as production does: in one transaction and one session, as one role. An error shows its place."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection, sql
from psycopg.pq import ExecStatus, TransactionStatus

from rolecall.errors import SqlError
from rolecall.sql import session_state
from rolecall.sql.script import Script, Statement, parse, statements
from rolecall.sql.text import display_path, error_at, line_of, read, refusal

__all__ = ["read", "run", "session_notes", "statements"]

LEFT = "the file has ended the transaction that it runs in, and its changes cannot be undone: remove the statement."
ONE_TRANSACTION = "HINT: A file runs in one transaction, as with psql -1. This command cannot run in a transaction."
ROLES_ARE_SHARED = (
    "HINT: A role belongs to all databases of a server. Create it in a DO block, if pg_roles does not have it, "
    "or leave out --rolecall-pg-dsn: a throwaway server has no roles of others."
)
# Statements about extensions, and those that create a role. The kinds of indexes are those of the extension vector.
MAY_BE_PRIVILEGED = re.compile(
    r"(create|drop|comment\s+on)\s+extension\b|create\s+index\b.*?\busing\s+(hnsw|ivfflat)\b"
    r"|create\s+(role|user|group)\b",
    re.IGNORECASE | re.DOTALL,
)
BODY_LINE = re.compile(r"inline_code_block\D+(\d+)")  # in any language of the server's messages
FUNCTION_LINE = re.compile(r"^.*\bfunction .*\bline \d+.*$", re.MULTILINE)


Privileged = Callable[[Statement], bool]
Rewrite = Callable[[Path, str, Statement], str]


def run(
    connection: Connection[Any],
    path: Path,
    text: str | None = None,
    *,
    role: str | None = None,
    privileged: Privileged = lambda _: False,
    rewrite: Rewrite | None = None,
) -> None:
    """Run every statement of a file, or none of them, as ``role`` (default: the connected role).

    The statements are sent one at a time: in a transaction, or in a savepoint if a transaction is open. At the end,
    deferred constraints are checked, and what the file left in the session is undone. ``text`` is what runs of the
    file, with its offsets and lines; by default, all of it.

    ``privileged`` is called for each statement about extensions, and for each that creates a role: with ``role`` as the
    connected role, otherwise as the current one. If it returns True, it has run the statement. ``rewrite`` is called
    with the path, the text of the file and a statement, and returns what is sent instead of the statement. It must keep
    the lines.

    Raises SqlError if the file cannot be read or split, has psql commands, or ends the transaction; if the server
    refuses a statement; or if the file becomes a role that ``role`` cannot become.
    """
    text = read(path) if text is None else text
    script = parse(text)
    check(path, text, script, role)
    Execution(connection, path, text, script, role, privileged, rewrite).run()


def session_notes(path: Path, text: str) -> list[str]:
    """A line for each setting that the text of a file makes for the whole session and does not reset.

    With rolecall and psql, each file has its own session. Other runners have one session for all files: the setting
    would reach the next file.
    """
    settings = [each for each in parse(text).settings if each.value and not each.local]
    return [
        f"{display_path(path)}:{line_of(text, each.start)}: {each.command} stays in the session: {each.advice}"
        for each in settings
    ]


def check(path: Path, text: str, script: Script, role: str | None) -> None:
    """Raises SqlError for what a file may not have."""
    refused = sorted([*script.refusals, *(script.identity if role else ())])
    if refused and not (script.unscannable and script.unscannable.start < refused[0].start):
        raise refusal(path, text, *refused[0])
    if script.unscannable:
        start, message, advice = script.unscannable
        raise error_at(path, text, start, message, "42601", [f"HINT: {advice}"] if advice else [])


class Execution:
    """One run of one file. A subclass may run its statements in another way."""

    def __init__(
        self,
        connection: Connection[Any],
        path: Path,
        text: str,
        script: Script,
        role: str | None,
        privileged: Privileged = lambda _: False,
        rewrite: Rewrite | None = None,
    ) -> None:
        self.connection, self.path, self.text, self.script, self.role = connection, path, text, script, role
        self.privileged, self.rewrite = privileged, rewrite
        self.savepoint = f"rolecall_{secrets.token_hex(8)}"  # random, so that the file cannot roll back to it
        self.nested = connection.info.transaction_status != TransactionStatus.IDLE
        self.statement = Statement(0, "", None)

    def run(self) -> None:
        """Run the file. After a SqlError, the connection is in its former state."""
        # After a DROP, psycopg would send DEALLOCATE ALL, which also removes the file's own prepared statements.
        threshold, self.connection.prepare_threshold = self.connection.prepare_threshold, None
        try:
            self._run()
        finally:
            self.connection.prepare_threshold = threshold
            self._forget_plans()

    def _run(self) -> None:
        # Before the transaction: SET TRANSACTION must come before any query.
        # DISCARD SEQUENCES: in a new session, no sequence has a last value.
        before = session_state.read(self.connection, self.script, "DISCARD SEQUENCES")
        identity = Identity(self.connection, self.role, before)
        self._execute(f"SAVEPOINT {self.savepoint}" if self.nested else "BEGIN")
        try:
            identity.become()
            self._statements(identity)
            self._constraints(identity)
            identity.restore()
            after = session_state.read(self.connection, self.script)
            session_state.restore(self.connection, self.script, before, after)
            if self.nested and after.deferred:
                # As at the beginning of a transaction: in production, the next file has its own.
                names = sql.SQL(", ").join(sql.Identifier(*name) for name in after.deferred)
                self.connection.execute(sql.SQL("SET CONSTRAINTS {} DEFERRED").format(names))
            self._execute(f"RELEASE SAVEPOINT {self.savepoint}" if self.nested else "COMMIT")
        except BaseException as error:
            self._undo(identity, before)
            if isinstance(error, psycopg.Error):
                raise self._error(error) from error
            raise
        if not self.nested:
            self._unlisten(before)

    def _statements(self, identity: Identity) -> None:
        for statement in self.script.statements:
            self.statement = statement
            if self.nested and _sets_isolation(statement):
                continue  # not allowed in a savepoint, and without effect on changes that are undone
            if not self._runs_privileged(statement, identity):
                self._execute(self.rewrite(self.path, self.text, statement) if self.rewrite else statement.text)
            if self.connection.info.transaction_status != TransactionStatus.INTRANS:
                raise refusal(self.path, self.text, statement.start, LEFT)
            if complaint := identity.complaint(statement):
                raise refusal(self.path, self.text, statement.start, complaint)

    def _runs_privileged(self, statement: Statement, identity: Identity) -> bool:
        if not MAY_BE_PRIVILEGED.match(statement.text):
            return False
        if not self.role:
            return self.privileged(statement)
        identity.restore()
        has_run = self.privileged(statement)
        identity.become()
        return has_run

    def _constraints(self, identity: Identity) -> None:
        """Check deferred constraints as the file's role: in production, its COMMIT does."""
        self.statement = Statement(len(self.text.rstrip()), "", None)
        self._execute("SET CONSTRAINTS ALL IMMEDIATE")
        if complaint := identity.complaint(self.statement):
            raise refusal(self.path, self.text, self.statement.start, complaint)

    def _undo(self, identity: Identity, before: session_state.State) -> None:
        """Undo the file, as far as possible. Further errors would hide the first one, so they are suppressed."""
        if self.connection.broken or self.connection.closed:
            return
        with suppress(psycopg.Error):
            if self.connection.info.transaction_status == TransactionStatus.ACTIVE:
                self._end_copy()
            if self.nested:
                self._execute(f"ROLLBACK TO SAVEPOINT {self.savepoint}; RELEASE SAVEPOINT {self.savepoint}")
            elif self.connection.info.transaction_status != TransactionStatus.IDLE:
                self._execute("ROLLBACK")
        with suppress(psycopg.Error):
            identity.restore()
            session_state.forget(self.connection, before, session_state.read(self.connection, self.script))

    def _forget_plans(self) -> None:
        """Let psycopg forget its prepared statements, as after any rollback: the file may have changed the tables."""
        status = self.connection.info.transaction_status
        if status == TransactionStatus.INTRANS:
            self._execute(
                "SAVEPOINT rolecall_plans; ROLLBACK TO SAVEPOINT rolecall_plans; RELEASE SAVEPOINT rolecall_plans"
            )
        elif status == TransactionStatus.IDLE:
            self._execute("BEGIN; ROLLBACK")

    def _unlisten(self, before: session_state.State) -> None:
        """End what LISTEN began. It takes effect with COMMIT, so this comes after it."""
        if "listen_stmt" in {statement.kind for statement in self.script.statements}:
            after = session_state.read(self.connection, self.script)
            for channel in after.channels - before.channels:
                self.connection.execute(sql.SQL("UNLISTEN {}").format(sql.Identifier(channel)))

    def _execute(self, text: str) -> None:
        self.connection.execute(text.encode())

    def _end_copy(self) -> None:
        """End a COPY that ``execute`` has started: otherwise no other statement can run."""
        pgconn = self.connection.pgconn
        pgconn.put_copy_end(b"rolecall sends no rows")
        while result := pgconn.get_result():
            if result.status == ExecStatus.COPY_OUT:
                while pgconn.get_copy_data(0)[0] > 0:
                    pass

    # -- where an error is

    def _error(self, error: psycopg.Error) -> SqlError:
        offset = self.statement.start + _position(self.statement.text, error)
        message = error.diag.message_primary or str(error).strip() or type(error).__name__
        if not self.statement.text and self.script.statements:
            message = f"at the end of the file, where production commits: {message}"
        return error_at(self.path, self.text, offset, message, error.sqlstate, _details(error))


def _sets_isolation(statement: Statement) -> bool:
    if statement.kind not in ("variable_set_stmt", "transaction_stmt"):
        return False
    return bool(re.match(r"(begin|start|set)\b.*\bisolation\s+level\b", statement.text, re.IGNORECASE | re.DOTALL))


class Identity:
    """The role that runs a file: by SET SESSION AUTHORIZATION for a superuser, by SET ROLE for other roles.

    ``scope`` is LOCAL if the file is one transaction, and SESSION if it is not.
    """

    OTHER_ROLE = "the file becomes {}, a role that {} cannot become in production: remove what changes the role."
    SUPERUSER = "the file becomes {}, a superuser, which {} is not in production: remove what changes the role."

    def __init__(
        self, connection: Connection[Any], role: str | None, before: session_state.State, scope: str = "LOCAL"
    ) -> None:
        self.connection, self.role, self.scope = connection, role, scope
        self.user, self.acting, self.superuser = before.user, before.acting, before.superuser

    def become(self) -> None:
        """Become the role until the end of the file."""
        if self.role:
            command = "SESSION AUTHORIZATION" if self.superuser else "ROLE"
            self._run(f"SET {self.scope} {command} {self._name(self.role)}")

    def restore(self) -> None:
        """Become the role from before the file."""
        if self.connection.info.transaction_status != TransactionStatus.INERROR:
            acting = "NONE" if self.acting == "none" else self._name(self.acting)
            user = f"SET SESSION AUTHORIZATION {self._name(self.user)}; " if self.superuser else ""
            self._run(f"{user}SET ROLE {acting}")

    def complaint(self, statement: Statement) -> str | None:
        """What is wrong with the current role after a statement; None if nothing.

        For a superuser, the server reports each change of the role. Other roles need a query.
        """
        if not self.role:
            return None
        status = self.connection.info.parameter_status
        superuser, session = status("is_superuser"), status("session_authorization")
        if superuser == "on":
            return self.SUPERUSER.format(session, self.role)
        if self.superuser and superuser and session:
            return None if session == self.role else self.OTHER_ROLE.format(session, self.role)
        if not self.superuser and statement.kind in HARMLESS:
            return None
        query = ROLES.format(sql.Literal(self.role).as_string(self.connection))
        ((current, session, is_superuser, member),) = session_state.ask(self.connection, query)
        if is_superuser:
            return self.SUPERUSER.format(current, self.role)
        expected = self.role if self.superuser else self.user
        if session != expected or not (member or current == self.role):
            return self.OTHER_ROLE.format(current if session == expected else session, self.role)
        return None

    def _name(self, role: str) -> str:
        return sql.Identifier(role).as_string(self.connection)

    def _run(self, text: str) -> None:
        self.connection.execute(text.encode())


ROLES = """
SELECT current_user, session_user, s.rolsuper OR c.rolsuper, pg_has_role({}, c.oid, 'MEMBER')
FROM pg_roles s, pg_roles c WHERE s.rolname = session_user AND c.rolname = current_user
"""

# Statements that cannot change the role: they run no code of the user.
HARMLESS = frozenset(
    {"create_policy_stmt", "alter_policy_stmt", "create_function_stmt", "view_stmt", "comment_stmt", "grant_stmt"}
    | {"grant_role_stmt", "create_schema_stmt", "create_trig_stmt", "define_stmt", "create_enum_stmt", "rename_stmt"}
)


# ------------------------------------------------------------------ where an error is


def _position(statement: str, error: psycopg.Error) -> int:
    """The offset of the error in a statement; 0 if the server reports none."""
    if error.diag.statement_position:
        return int(error.diag.statement_position) - 1
    return _in_body(statement, error)


def _in_body(statement: str, error: psycopg.Error) -> int:
    """The offset of the error in a DO block: of its line, or of the place in a query of that line."""
    line = BODY_LINE.search(error.diag.context or "")
    body = re.search(r"\$\w*\$", statement)
    if not line or not body:
        return 0
    offset = body.end()
    for _ in range(int(line[1]) - 1):
        offset = statement.find("\n", offset) + 1 or len(statement)
    query, within = error.diag.internal_query, error.diag.internal_position
    for cut in (0, len("SELECT")) if query and within else ():  # the server reports PERFORM as SELECT
        start = statement.find(str(query)[cut:], offset)
        if start >= 0 and int(str(within)) > cut:
            return start + int(str(within)) - 1 - cut
    return offset + len(statement[offset:]) - len(statement[offset:].lstrip())


def _details(error: psycopg.Error) -> Iterator[str]:
    """The lines below an error: DETAIL, HINT and CONTEXT."""
    diag = error.diag
    if diag.message_detail:
        yield f"DETAIL: {diag.message_detail}"
    if diag.message_hint:
        yield f"HINT: {diag.message_hint}"
    elif error.sqlstate == "25001":
        yield ONE_TRANSACTION
    elif error.sqlstate == "42710" and diag.source_function == "CreateRole":
        yield ROLES_ARE_SHARED
    # The error's place shows the line of a DO block. For functions that it calls, name the innermost one.
    functions = [line for line in FUNCTION_LINE.findall(diag.context or "") if not BODY_LINE.search(line)]
    if functions:
        yield f"CONTEXT: {functions[0]}"
    yield from getattr(error, "__notes__", [])  # of a statement that waited too long: what blocked it
