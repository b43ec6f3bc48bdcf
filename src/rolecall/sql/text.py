"""Read the text of an SQL file, and show an error in it: file, line, column, the line itself, and a caret."""

from __future__ import annotations

import codecs
import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from rolecall.errors import SqlError

NEWLINE = re.compile(r"\r\n|\r|\n")  # for PostgreSQL, a single CR also ends a line
RESTRICT = re.compile(r"^\\(?:un)?restrict[ \t][^\r\n]*", re.MULTILINE)
COMPRESSED = (
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ\0",
    b"\x28\xb5\x2f\xfd",
    b"\x04\x22\x4d\x18",
    b"PK\x03\x04",
)  # gzip to zip
WIDTH = 160  # an error shows no more characters of a line


def read(path: Path) -> str:
    """The text of an SQL file. The ``\\restrict`` lines of pg_dump, which are for psql, are replaced by blanks.

    Raises SqlError if the file cannot be read, is not UTF-8, or has a NUL byte.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, 1, f"cannot be read: {error.strerror}.") from None
    data = data.removeprefix(codecs.BOM_UTF8)
    if complaint := _other_format(path, data):
        raise _unreadable(path, 1, complaint)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or data.count(0) > len(data) // 4:
        raise _unreadable(path, 1, "the file is UTF-16: save it as UTF-8.")
    nul = data.find(0)
    if nul >= 0:
        line = _line_of_byte(data, nul)
        raise _unreadable(path, line, f"the file has a NUL byte (byte {nul}): remove it.")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = _line_of_byte(data, error.start)
        raise _unreadable(path, line, f"the file is not UTF-8 (byte {error.start}): save it as UTF-8.") from None
    return _without_restrict(text)


def _other_format(path: Path, data: bytes) -> str | None:
    """What to do with a file that is no text; None for a text."""
    plain = path.with_suffix(".sql").name if path.suffix != ".sql" else f"plain_{path.name}"
    if data.startswith(b"PGDMP") or (data[257:262] == b"ustar" and data.startswith(b"toc.dat")):
        return f"the file is an archive of pg_dump: run pg_restore -f {plain} {path.name}, and use {plain}."
    if data.startswith(COMPRESSED):
        return "the file is compressed: unpack it, for example with gunzip or unzip, and use the result."
    return None


def _line_of_byte(data: bytes, offset: int) -> int:
    return line_of(data[:offset].decode(errors="replace"), offset)


def _unreadable(path: Path, line: int, message: str) -> SqlError:
    return SqlError(f"{display_path(path)}:{line}: {message}", sqlstate=None, path=str(path), line=line)


def _without_restrict(text: str) -> str:
    """The text with blanks in place of these lines. Its length stays the same, so all positions stay valid."""
    offset = 0
    while match := RESTRICT.search(text, offset):
        offset = match.end()
        if not in_quotes(text[: match.start()]):
            text = text[: match.start()] + " " * len(match[0]) + text[offset:]
    return text


def in_quotes(text: str) -> bool:
    """Whether a string, a body or a comment is open at the end of a text."""
    import postgast  # 0.1 s to import

    try:
        postgast.scan(text)
    except postgast.PgQueryError:
        return True
    return False


def display_path(path: Path) -> str:
    """The path relative to the current folder; a path outside of it as it is."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def line_of(text: str, offset: int) -> int:
    """The number of the line with the character at an offset; the first line is 1."""
    return len(NEWLINE.findall(text, 0, offset)) + 1


def refusal(path: Path, text: str, offset: int, message: str) -> SqlError:
    """An error that rolecall itself finds in a file: the place and the message, in one line."""
    line = line_of(text, offset)
    return SqlError(f"{display_path(path)}:{line}: {message}", sqlstate=None, path=str(path), line=line)


def error_at(
    path: Path, text: str, offset: int, message: str, sqlstate: str | None, more: Iterable[str] = ()
) -> SqlError:
    """An error with the line of the file, a caret below the character at the offset, and the lines of ``more``."""
    message = re.sub(r'( at or near "[^\n"]*)\n.*', r'\1…"', message, flags=re.DOTALL)  # only the first line
    message = re.sub("[\u2028\u2029\x85]", " ", message)
    line = line_of(text, offset)
    starts = [newline.end() for newline in NEWLINE.finditer(text, 0, offset)]
    start = starts[-1] if starts else 0
    code = NEWLINE.split(text[start : start + max(offset - start, 0) + WIDTH + 1], maxsplit=1)[0].rstrip()
    column = offset - start
    code, caret = _around(code, column)
    lines = [
        f"{display_path(path)}:{line}:{column + 1}: {message}" + (f" ({sqlstate})" if sqlstate else ""),
        f"    {code}",
        "    " + "".join(map(_blank, code[:caret])) + "^",
        *more,
    ]
    if "\ufeff" in code:
        lines.append("HINT: This line has a byte order mark, which is invisible: remove it.")
    return SqlError("\n".join(lines), sqlstate=sqlstate, path=str(path), line=line)


def _around(code: str, column: int) -> tuple[str, int]:
    """The part of a line around a column, and the column's position in it."""
    code = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]", " ", code)  # these would move the terminal's cursor
    if len(code) <= WIDTH:
        return code, column
    start = max(0, min(column - WIDTH // 2, len(code) - WIDTH))
    part = code[start : start + WIDTH]
    if start + WIDTH < len(code):
        part += "…"
    return ("…" + part, column - start + 1) if start else (part, column)


def _blank(character: str) -> str:
    """Blanks as wide as a character in a terminal."""
    if character == "\t":
        return "\t"
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Mn", "Me"):
        return ""
    return "  " if unicodedata.east_asian_width(character) in "WF" else " "
