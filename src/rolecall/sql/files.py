"""Run an SQL file as production does: one transaction, one session, one role; an error shows where it is."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection, sql
from psycopg.pq import ExecStatus, TransactionStatus

from rolecall.errors import SqlError
from rolecall.sql import session_state
from rolecall.sql.script import Script, Statement, parse, statements
from rolecall.sql.text import line_of, located, read, refusal, shown

__all__ = ["read", "run", "session_notes", "statements"]

LEFT = "the file has left the transaction that it runs in, and what it did cannot be undone: take out what ended it."
ONE_TRANSACTION = "HINT: A file runs in one transaction, as with psql -1: this command cannot."
BODY_LINE = re.compile(r"inline_code_block\D+(\d+)")  # in whatever language the server speaks
FUNCTION_LINE = re.compile(r"^.*\bfunction .*\bline \d+.*$", re.MULTILINE)


def run(connection: Connection[Any], path: Path, *, role: str | None = None) -> None:
    """Run every statement of a file, or none of them, as ``role`` (default: as who is connected).

    The statements are sent one at a time, in a transaction, or in a savepoint of one that is open. What the file
    leaves in the session is taken back; deferred constraints are checked at its end. Raises SqlError where the
    file cannot be read or split, where it holds what only psql knows, where the server refuses a statement, where it
    would end the transaction, or where it becomes somebody whom the role cannot become.
    """
    text = read(path)
    script = parse(text)
    _check(path, text, script, role)
    _Execution(connection, path, text, script, role).run()


def session_notes(path: Path) -> list[str]:
    """What a file sets for the whole session and does not reset: a line each, with what to do. Raises SqlError.

    Here and with psql a file has a session of its own. A runner that has one for all would run the next file with it.
    """
    text = read(path)
    found = [each for each in parse(text).settings if each.value and not each.local]
    return [
        f"{shown(path)}:{line_of(text, each.start)}: {each.how} stays in the session: {each.advice}" for each in found
    ]


def _check(path: Path, text: str, script: Script, role: str | None) -> None:
    refused = sorted([*script.refusals, *(script.identity if role else ())])
    if refused and not (script.unscannable and script.unscannable.start < refused[0].start):
        raise refusal(path, text, *refused[0])
    if script.unscannable:
        start, message, advice = script.unscannable
        raise located(path, text, start, message, "42601", [f"HINT: {advice}"] if advice else [])


class _Execution:
    """One run of one file."""

    def __init__(self, connection: Connection[Any], path: Path, text: str, script: Script, role: str | None) -> None:
        self.connection, self.path, self.text, self.script, self.role = connection, path, text, script, role
        self.savepoint = f"rolecall_{secrets.token_hex(8)}"  # nobody guesses it, so nobody goes back to it
        self.nested = connection.info.transaction_status != TransactionStatus.IDLE
        self.statement = Statement(0, "", None)

    def run(self) -> None:
        """Run the file. Raises SqlError; the connection is then as it was before."""
        # psycopg would follow a DROP with DEALLOCATE ALL, and the file's own prepared statements would be gone.
        threshold, self.connection.prepare_threshold = self.connection.prepare_threshold, None
        try:
            self._run()
        finally:
            self.connection.prepare_threshold = threshold
            self._forget_plans()

    def _run(self) -> None:
        # Before the transaction: a query in it would be too late for SET TRANSACTION.
        # As in a new session, no sequence has given a last value.
        before = session_state.look(self.connection, self.script, "DISCARD SEQUENCES")
        who = _Identity(self.connection, self.role, before)
        self._execute(f"SAVEPOINT {self.savepoint}" if self.nested else "BEGIN")
        try:
            who.become()
            self._statements(who)
            self._constraints(who)
            who.leave()
            after = session_state.look(self.connection, self.script)
            session_state.take_back(self.connection, self.script, before, after)
            if self.nested and after.deferred:
                # As at a transaction's beginning: the next file has one of its own.
                names = sql.SQL(", ").join(sql.Identifier(*name) for name in after.deferred)
                self.connection.execute(sql.SQL("SET CONSTRAINTS {} DEFERRED").format(names))
            self._execute(f"RELEASE SAVEPOINT {self.savepoint}" if self.nested else "COMMIT")
        except BaseException as error:
            self._undo(who, before)
            if isinstance(error, psycopg.Error):
                raise self._located(error) from error
            raise
        if not self.nested:
            self._unlisten(before)

    def _statements(self, who: _Identity) -> None:
        for statement in self.script.statements:
            self.statement = statement
            if self.nested and _sets_isolation(statement):
                continue  # in a savepoint it is refused, and what is undone needs none
            self._execute(statement.text)
            if self.connection.info.transaction_status != TransactionStatus.INTRANS:
                raise refusal(self.path, self.text, statement.start, LEFT)
            if complaint := who.complaint(statement):
                raise refusal(self.path, self.text, statement.start, complaint)

    def _constraints(self, who: _Identity) -> None:
        """Check what is deferred, while the role is still the file's: COMMIT would do it in production."""
        self.statement = Statement(len(self.text.rstrip()), "", None)
        self._execute("SET CONSTRAINTS ALL IMMEDIATE")
        if complaint := who.complaint(self.statement):
            raise refusal(self.path, self.text, self.statement.start, complaint)

    def _undo(self, who: _Identity, before: session_state.State) -> None:
        """Back to what was before the file. What has failed is said already, and more than can be done cannot."""
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
            who.leave()
            session_state.forget(self.connection, before, session_state.look(self.connection, self.script))

    def _forget_plans(self) -> None:
        """Have psycopg forget what it has prepared by itself, as after any rollback: the file may have changed it."""
        status = self.connection.info.transaction_status
        if status == TransactionStatus.INTRANS:
            self._execute(
                "SAVEPOINT rolecall_plans; ROLLBACK TO SAVEPOINT rolecall_plans; RELEASE SAVEPOINT rolecall_plans"
            )
        elif status == TransactionStatus.IDLE:
            self._execute("BEGIN; ROLLBACK")

    def _unlisten(self, before: session_state.State) -> None:
        """LISTEN begins with COMMIT, so it ends after it."""
        if "listen_stmt" in {statement.kind for statement in self.script.statements}:
            after = session_state.look(self.connection, self.script)
            for channel in after.channels - before.channels:
                self.connection.execute(sql.SQL("UNLISTEN {}").format(sql.Identifier(channel)))

    def _execute(self, text: str) -> None:
        self.connection.execute(text.encode())

    def _end_copy(self) -> None:
        """Leave a COPY that a function of psycopg's was not meant for, or no statement could follow."""
        pgconn = self.connection.pgconn
        pgconn.put_copy_end(b"rolecall sends no rows")
        while result := pgconn.get_result():
            if result.status == ExecStatus.COPY_OUT:
                while pgconn.get_copy_data(0)[0] > 0:
                    pass

    # -- where an error is

    def _located(self, error: psycopg.Error) -> SqlError:
        offset = self.statement.start + _position(self.statement.text, error)
        message = error.diag.message_primary or str(error).strip() or type(error).__name__
        if not self.statement.text and self.script.statements:
            message = f"at the file's end, where production commits it: {message}"
        return located(self.path, self.text, offset, message, error.sqlstate, _more(error))


def _sets_isolation(statement: Statement) -> bool:
    if statement.kind not in ("variable_set_stmt", "transaction_stmt"):
        return False
    return bool(re.match(r"(begin|start|set)\b.*\bisolation\s+level\b", statement.text, re.IGNORECASE | re.DOTALL))


class _Identity:
    """Who runs a file: the role as a session of its own, where a superuser is connected; else by SET ROLE."""

    BECAME = "here the file becomes {}, whom {} cannot become in production: take out what changes the role."
    SUPERUSER = "here the file becomes {}, a superuser, which it is not in production: take out what changes the role."

    def __init__(self, connection: Connection[Any], role: str | None, before: session_state.State) -> None:
        self.connection, self.role = connection, role
        self.user, self.acting, self.superuser = before.user, before.acting, before.superuser

    def become(self) -> None:
        """Be the role until the end of the file."""
        if self.role:
            how = "SET LOCAL SESSION AUTHORIZATION" if self.superuser else "SET LOCAL ROLE"
            self._run(f"{how} {self._name(self.role)}")

    def leave(self) -> None:
        """Be who was there before the file."""
        if self.connection.info.transaction_status != TransactionStatus.INERROR:
            acting = "NONE" if self.acting == "none" else self._name(self.acting)
            user = f"SET SESSION AUTHORIZATION {self._name(self.user)}; " if self.superuser else ""
            self._run(f"{user}SET ROLE {acting}")

    def complaint(self, statement: Statement) -> str | None:
        """What is wrong with who it is after a statement; costs nothing where the server reports it unasked."""
        if not self.role:
            return None
        status = self.connection.info.parameter_status
        superuser, session = status("is_superuser"), status("session_authorization")
        if superuser == "on":
            return self.SUPERUSER.format(session, self.role)
        if self.superuser and superuser and session:
            return None if session == self.role else self.BECAME.format(session, self.role)
        if not self.superuser and statement.kind in PLAIN:
            return None
        who = WHO.format(sql.Literal(self.role).as_string(self.connection))
        ((now, session, is_superuser, member),) = session_state.ask(self.connection, who)
        if is_superuser:
            return self.SUPERUSER.format(now, self.role)
        expected = self.role if self.superuser else self.user
        if session != expected or not (member or now == self.role):
            return self.BECAME.format(now if session == expected else session, self.role)
        return None

    def _name(self, role: str) -> str:
        return sql.Identifier(role).as_string(self.connection)

    def _run(self, text: str) -> None:
        self.connection.execute(text.encode())


WHO = """
SELECT current_user, session_user, s.rolsuper OR c.rolsuper, pg_has_role({}, c.oid, 'MEMBER')
FROM pg_roles s, pg_roles c WHERE s.rolname = session_user AND c.rolname = current_user
"""

# Statements after which the role is what it was: they run no code that could set it.
PLAIN = frozenset(
    {"create_policy_stmt", "alter_policy_stmt", "create_function_stmt", "view_stmt", "comment_stmt", "grant_stmt"}
    | {"grant_role_stmt", "create_schema_stmt", "create_trig_stmt", "define_stmt", "create_enum_stmt", "rename_stmt"}
)


# ------------------------------------------------------------------ what the server says of an error


def _position(statement: str, error: psycopg.Error) -> int:
    """The offset in a statement at which it failed; 0 where the server does not tell."""
    if error.diag.statement_position:
        return int(error.diag.statement_position) - 1
    return _in_body(statement, error)


def _in_body(statement: str, error: psycopg.Error) -> int:
    """The offset in a DO block that failed: of its line, or of the place in a query of it."""
    line = BODY_LINE.search(error.diag.context or "")
    body = re.search(r"\$\w*\$", statement)
    if not line or not body:
        return 0
    offset = body.end()
    for _ in range(int(line[1]) - 1):
        offset = statement.find("\n", offset) + 1 or len(statement)
    query, within = error.diag.internal_query, error.diag.internal_position
    for cut in (0, len("SELECT")) if query and within else ():  # which the server has put in place of PERFORM
        found = statement.find(str(query)[cut:], offset)
        if found >= 0 and int(str(within)) > cut:
            return found + int(str(within)) - 1 - cut
    return offset + len(statement[offset:]) - len(statement[offset:].lstrip())


def _more(error: psycopg.Error) -> Iterator[str]:
    diag = error.diag
    if diag.message_detail:
        yield f"DETAIL: {diag.message_detail}"
    if diag.message_hint:
        yield f"HINT: {diag.message_hint}"
    elif error.sqlstate == "25001":
        yield ONE_TRANSACTION
    # The line of a DO block is shown; of a function that it calls, the innermost is told.
    inside = [line for line in FUNCTION_LINE.findall(diag.context or "") if not BODY_LINE.search(line)]
    if inside:
        yield f"CONTEXT: {inside[0]}"
