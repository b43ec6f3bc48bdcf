"""Read a dump: its statements, the rows of its COPY commands, and the commands of psql that it may have."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rolecall.sql.script import Script, parse
from rolecall.sql.text import error_at, in_quotes

# What pg_dump, pg_dumpall and `supabase db dump` write at their beginning, and people do not.
BEGINNING = re.compile(
    r"^SELECT pg_catalog\.set_config\('search_path', '', false\);"
    r"|^SET default_transaction_read_only = off;"
    r"|^-- PostgreSQL database (?:cluster )?dump[ \t\r]*$",
    re.MULTILINE,
)
PROLOGUE = re.compile(r"^SELECT pg_catalog\.set_config\('search_path', '', false\);", re.MULTILINE)
MADE_FROM = re.compile(r"^-- Dumped from database version (\d+)", re.MULTILINE)
# A line that psql reads, and the server does not: the beginning of rows, or a command.
FOR_PSQL = re.compile(
    r"^(?:COPY [^\n]* FROM stdin;[ \t\r]*$|\\(?P<command>[a-z]+)[^\n]*$)", re.MULTILINE | re.IGNORECASE
)
LINE = re.compile(r"[^\r\n]+")
END_OF_ROWS = re.compile(r"^\\\.[ \t\r]*$", re.MULTILINE)
# psql's commands that change nothing in a database. All others, such as \i, are refused.
NEEDLESS = frozenset(
    {"restrict", "unrestrict", "connect", "c", "set", "unset", "echo", "qecho", "warn", "pset", "timing", "encoding"}
    | {"a", "t", "x", "r", "p", "q"}
)


SILENT = ("\\restrict", "\\unrestrict")  # every dump has them


class PsqlCommand(NamedTuple):
    """A command of psql that is left out: its offset, and its text."""

    start: int
    text: str


class Rows(NamedTuple):
    """The rows of a COPY: their offset, and their text."""

    start: int
    text: str


@dataclass(frozen=True)
class Dump:
    """The text of a dump, and its parts.

    ``source`` is the text of the file. ``text`` has blanks in place of psql's commands and of rows, so that offsets and
    lines stay the same. ``rows`` has the rows of each COPY by the offset of the statement. ``parts`` are the offsets
    at which a dump begins: there are two if two files were joined. ``version`` is the major version of the server that
    it was made from, if it says so.
    """

    path: Path
    source: str
    text: str
    script: Script
    rows: Mapping[int, Rows]
    psql: tuple[PsqlCommand, ...]
    parts: tuple[int, ...]
    version: int | None


def is_dump(text: str) -> bool:
    """Whether an SQL text was written by pg_dump, pg_dumpall or ``supabase db dump``."""
    return BEGINNING.search(text) is not None


def read(path: Path, text: str) -> Dump:
    """The dump with this text. Raises SqlError for rows without an end."""
    made_from = MADE_FROM.search(text)
    rows: dict[int, Rows] = {}
    commands: list[PsqlCommand] = []
    pieces, end = [], 0
    for start, stop, statement in _for_psql(path, text):
        if statement is None:
            command = text[start:stop].rstrip()
            if not command.lower().startswith(SILENT):
                commands.append(PsqlCommand(start, command))
        else:
            rows[statement] = Rows(start, text[start : text.rindex("\\.", start, stop)])
        pieces += [text[end:start], LINE.sub(lambda line: " " * len(line[0]), text[start:stop])]
        end = stop
    sql = "".join([*pieces, text[end:]])
    parts = tuple(match.start() for match in PROLOGUE.finditer(sql))
    version = int(made_from[1]) if made_from else None
    return Dump(path, text, sql, parse(sql), rows, tuple(commands), parts, version)


def _for_psql(path: Path, text: str) -> Iterator[tuple[int, int, int | None]]:
    """What is not for the server: beginning and end, and for rows the offset of their COPY."""
    outside = offset = 0  # at ``outside``, no quote is open
    while match := FOR_PSQL.search(text, offset):
        offset = match.end()
        if in_quotes(text[outside : match.start()]):
            continue
        outside = offset
        if match["command"]:
            if match["command"].lower() in NEEDLESS:
                yield match.start(), match.end(), None
            continue
        start = text.find("\n", match.end()) + 1
        end = END_OF_ROWS.search(text, start) if start else None
        if not end:
            message = "the rows of this COPY have no end, which is a line \\.: the dump was cut off. Dump it again."
            raise error_at(path, text, match.start(), message, None)
        yield start, end.end(), match.start()
        outside = offset = end.end()
