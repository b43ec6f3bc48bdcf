"""Run an SQL file in one transaction; an error shows file, line, column, the line, and a caret."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection, sql

from rolecall.errors import SqlError

# What could end a transaction. END IF and END LOOP cannot; whether the rest does, the parser tells.
ENDS = re.compile(r"\b(commit|rollback|abort|begin|start|end(?!\s+(if|loop|case)\b))\b[\sa-z]*;", re.IGNORECASE)


def run(connection: Connection[Any], path: Path, *, role: str | None = None) -> None:
    """Run every statement of a file, or none of them, as ``role`` (default: as who is connected).

    Raises SqlError where the server refuses a statement, or where the file would end the transaction:
    what stands behind that would run as somebody else, and could not be undone.
    """
    text = read(path)
    if ENDS.search(text):
        _refuse_to_end(path, text)
    try:
        with connection.transaction():
            _become(connection, role)
            connection.execute(text.encode())
            connection.execute("RESET ROLE")
    except psycopg.errors.Error as error:
        position = _position(error)
        if position is None:
            position = _find_by_replay(connection, text, role)
        raise _located(path, text, position, error) from error


def _refuse_to_end(path: Path, text: str) -> None:
    import postgast

    for statement in statements(text):
        try:
            parsed = postgast.parse(statement.text).stmts
        except postgast.PgQueryError:
            continue  # the server will say it better
        if any(each.stmt.HasField("transaction_stmt") for each in parsed):
            kind = parsed[0].stmt.transaction_stmt.kind
            if kind in (postgast.pg_query_pb2.TRANS_STMT_BEGIN, postgast.pg_query_pb2.TRANS_STMT_START):
                continue  # a warning, and nothing else
            line = text.count("\n", 0, statement.start) + 1
            told = "the file ends the transaction that it runs in: take BEGIN, COMMIT and ROLLBACK out."
            raise SqlError(f"{_shown(path)}:{line}: {told}", sqlstate=None, path=str(path), line=line)


def read(path: Path) -> str:
    """The text of an SQL file; pg_dump's ``\\restrict`` lines, which only psql knows, are blanked out.

    Raises SqlError if it is not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        told = f"{_shown(path)}:{line}: not UTF-8 (byte {error.start}): save the file as UTF-8."
        raise SqlError(told, sqlstate=None, path=str(path), line=line) from None
    return re.sub(r"^\\(un)?restrict .*$", lambda match: " " * len(match[0]), text, flags=re.MULTILINE)


def _become(connection: Connection[Any], role: str | None) -> None:
    if role:
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))


@dataclass(frozen=True)
class _Statement:
    start: int
    text: str


def statements(text: str) -> Iterator[_Statement]:
    """The statements of an SQL text with their offsets, split by PostgreSQL's own scanner."""
    import postgast  # 0.1 s to import, and needed only where something failed

    end = 0
    for statement in postgast.split(text, method="scanner"):
        start = text.index(statement, end)
        end = start + len(statement)
        code = re.match(r"(\s|--[^\n]*\n|/\*.*?\*/)*", statement, re.DOTALL)
        skipped = code.end() if code else 0
        yield _Statement(start + skipped, statement[skipped:])


def _position(error: psycopg.Error) -> int | None:
    """The offset that the server itself gives, counted from 0."""
    given = error.diag.statement_position
    return int(given) - 1 if given else None


def _find_by_replay(connection: Connection[Any], text: str, role: str | None) -> int:
    """The offset of the failing statement, for errors that carry none: run one by one, undo all."""
    try:
        with connection.transaction(force_rollback=True):
            _become(connection, role)
            for statement in statements(text):
                try:
                    connection.execute(statement.text.encode())
                except psycopg.Error as error:
                    return statement.start + (_position(error) or _in_body(statement.text, error))
    except psycopg.Error:
        pass  # the transaction is undone all the same
    return 0


def _in_body(statement: str, error: psycopg.Error) -> int:
    """The offset of the line of a DO block that failed, as its context tells it; 0 elsewhere."""
    line = re.search(r"inline_code_block line (\d+)", error.diag.context or "")
    body = re.search(r"\$\w*\$", statement)
    if not line or not body:
        return 0
    offset = body.end()
    for _ in range(int(line[1]) - 1):
        offset = statement.find("\n", offset) + 1 or len(statement)
    return offset + len(statement[offset:]) - len(statement[offset:].lstrip())


def _located(path: Path, text: str, position: int, error: psycopg.Error) -> SqlError:
    line = text.count("\n", 0, position) + 1
    start = text.rfind("\n", 0, position) + 1
    code = text[start:].split("\n", 1)[0].rstrip()
    column = position - start + 1
    told = [
        f"{_shown(path)}:{line}:{column}: {error.diag.message_primary or error} ({error.sqlstate})",
        f"    {code}",
        "    " + re.sub(r"[^\t]", " ", code[: column - 1]) + "^",
    ]
    told += [f"{word}: {said}" for word, said in _more(error) if said]
    return SqlError("\n".join(told), sqlstate=error.sqlstate, path=str(path), line=line)


def _more(error: psycopg.Error) -> Iterator[tuple[str, str | None]]:
    yield "DETAIL", error.diag.message_detail
    yield "HINT", error.diag.message_hint


def _shown(path: Path) -> str:
    """The path as the user would type it from where pytest was started."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
