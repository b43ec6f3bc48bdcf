"""The text of an SQL file, and an error in it: file, line, column, the line itself, and a caret."""

from __future__ import annotations

import codecs
import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from rolecall.errors import SqlError

NEWLINE = re.compile(r"\r\n|\r|\n")  # to PostgreSQL a CR alone ends a line, too
RESTRICT = re.compile(r"^\\(?:un)?restrict[ \t][^\r\n]*", re.MULTILINE)
SHOWN = 160  # characters of a longer line that an error shows


def read(path: Path) -> str:
    """The text of an SQL file; pg_dump's ``\\restrict`` lines, which only psql knows, are blanked out.

    Raises SqlError if it cannot be read, is not UTF-8, or holds a NUL byte.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, 1, f"cannot be read: {error.strerror}.") from None
    data = data.removeprefix(codecs.BOM_UTF8)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or data.count(0) > len(data) // 4:
        raise _unreadable(path, 1, "UTF-16 and not UTF-8: save the file as UTF-8.")
    nul = data.find(0)
    if nul >= 0:
        line = _line_of_byte(data, nul)
        raise _unreadable(path, line, f"a NUL byte (byte {nul}) cuts off what follows it: take it out.")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = _line_of_byte(data, error.start)
        raise _unreadable(path, line, f"not UTF-8 (byte {error.start}): save the file as UTF-8.") from None
    return _without_restrict(text)


def _line_of_byte(data: bytes, offset: int) -> int:
    return line_of(data[:offset].decode(errors="replace"), offset)


def _unreadable(path: Path, line: int, message: str) -> SqlError:
    return SqlError(f"{shown(path)}:{line}: {message}", sqlstate=None, path=str(path), line=line)


def _without_restrict(text: str) -> str:
    """Blanks in place of the lines, and not fewer characters: what follows keeps its position."""
    offset = 0
    while found := RESTRICT.search(text, offset):
        offset = found.end()
        if not _in_quotes(text, found.start()):
            text = text[: found.start()] + " " * len(found[0]) + text[offset:]
    return text


def _in_quotes(text: str, offset: int) -> bool:
    """Whether a string, a body or a comment is open where a line begins."""
    import postgast  # 0.1 s to import

    try:
        postgast.scan(text[:offset])
    except postgast.PgQueryError:
        return True
    return False


def shown(path: Path) -> str:
    """The path as the user would type it from where pytest was started."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def line_of(text: str, offset: int) -> int:
    """The number of the line, from 1, in which the character at an offset stands."""
    return len(NEWLINE.findall(text, 0, offset)) + 1


def refusal(path: Path, text: str, offset: int, message: str) -> SqlError:
    """An error that rolecall finds in a file: where, what, and what to do, in one line."""
    line = line_of(text, offset)
    return SqlError(f"{shown(path)}:{line}: {message}", sqlstate=None, path=str(path), line=line)


def located(
    path: Path, text: str, offset: int, message: str, sqlstate: str | None, more: Iterable[str] = ()
) -> SqlError:
    """An error with its line of the file, a caret below the character at the offset, and further lines."""
    message = re.sub(r'( at or near "[^\n"]*)\n.*', r'\1…"', message, flags=re.DOTALL)  # the rest is in the file
    message = re.sub("[\u2028\u2029\x85]", " ", message)
    line = line_of(text, offset)
    starts = [found.end() for found in NEWLINE.finditer(text, 0, offset)]
    start = starts[-1] if starts else 0
    code = NEWLINE.split(text[start : start + max(offset - start, 0) + SHOWN + 1], maxsplit=1)[0].rstrip()
    column = offset - start
    code, caret = _around(code, column)
    lines = [
        f"{shown(path)}:{line}:{column + 1}: {message}" + (f" ({sqlstate})" if sqlstate else ""),
        f"    {code}",
        "    " + "".join(map(_blank, code[:caret])) + "^",
        *more,
    ]
    if "\ufeff" in code:
        lines.append("HINT: A byte order mark, which nobody sees, stands in this line: take it out.")
    return SqlError("\n".join(lines), sqlstate=sqlstate, path=str(path), line=line)


def _around(code: str, column: int) -> tuple[str, int]:
    """The part of a line around a column that is shown, and where the column is in it."""
    code = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]", " ", code)  # what would move the terminal's cursor
    if len(code) <= SHOWN:
        return code, column
    start = max(0, min(column - SHOWN // 2, len(code) - SHOWN))
    part = code[start : start + SHOWN]
    if start + SHOWN < len(code):
        part += "…"
    return ("…" + part, column - start + 1) if start else (part, column)


def _blank(character: str) -> str:
    """As much room as a character takes in a terminal."""
    if character == "\t":
        return "\t"
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Mn", "Me"):
        return ""
    return "  " if unicodedata.east_asian_width(character) in "WF" else " "
