"""Commands of psql that change nothing in a file that runs in one database: they are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rolecall.sql.split import COMMENTS, Token

META = "ASCII_92"  # the backslash, as the parser's grammar names it
# An error stops a file in any case, and nothing is printed.
HARMLESS = re.compile(r"\\(set\s+ON_ERROR_STOP\b|(timing|pset|echo|encoding\s+'?utf-?8)\b)[^\n\\]*", re.IGNORECASE)
# As the first command it only says for which database the file is.
CONNECT = re.compile(r"\\(connect|c)\s+[^\s;\\]+[ \t]*;?[ \t]*(?=\r?\n|$)")


def blanked(text: str, tokens: Sequence[Token]) -> str:
    """A text with blanks in place of harmless commands, so that all offsets stay."""
    for start, end in _harmless(text, tokens):
        text = text[:start] + " " * (end - start) + text[end:]
    return text


def _harmless(text: str, tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    at = 0  # the end of the last harmless command
    is_first = True  # nothing that runs has come before
    for token in tokens:
        if token.start < at or token.name in COMMENTS:
            continue
        found = _command(text, token, is_first=is_first)
        if found:
            at = found.end()
            yield token.start, at
        else:
            is_first = False


def _command(text: str, token: Token, *, is_first: bool) -> re.Match[str] | None:
    if token.name != META or text[: token.start].rpartition("\n")[2].strip():
        return None
    return HARMLESS.match(text, token.start) or (CONNECT.match(text, token.start) if is_first else None)
