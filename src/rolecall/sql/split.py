"""Split an SQL text into statements with PostgreSQL's own parser; if that cannot read it, as psql does."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

CLOSE = {
    "quoted string": "Close the quote: write ' at its end, and '' for a quote inside it.",
    "quoted identifier": 'Close the quote: write " at the end of the name.',
    "dollar-quoted string": "Close it with the same tag that opens it.",
    "hexadecimal string literal": "Close the quote: write ' at its end.",
    "bit string literal": "Close the quote: write ' at its end.",
    "/* comment": "Close the comment: write */, once for each /* in it.",
}


class Unscannable(NamedTuple):
    """Where the scanner stops, and why. ``advice`` is a hint, or empty."""

    start: int
    message: str
    advice: str


Parts = list[tuple[int, str]]


def split(text: str) -> tuple[Parts, list[Token], Unscannable | None]:
    """The statements with their offsets; if the parser cannot read the text, also its tokens.

    If the scanner stops before the end of the text, the third value says where and why.
    """
    import postgast  # 0.1 s to import

    try:
        return list(_offsets(text, postgast.split(text, method="parser"))), [], None
    except postgast.PgQueryError:  # a syntax error, or syntax that only the server knows
        beginning, unscannable = _scannable(text)
        tokens = tokens_of(beginning)
        parts = [part for rough in _split_like_psql(beginning, tokens) for part in _split_again(*rough)]
        return parts, tokens, unscannable


def _split_again(start: int, text: str) -> Parts:
    """Split a part with the parser, if it can read it: psql's rule may leave several statements in one part."""
    import postgast

    try:
        return [(start + at, part) for at, part in _offsets(text, postgast.split(text, method="parser"))]
    except postgast.PgQueryError:
        return [(start, text)]


def _offsets(text: str, parts: list[str]) -> Iterator[tuple[int, str]]:
    end = 0
    for part in parts:
        start = _skip(text, end)
        yield start, part
        end = start + len(part)


def _skip(text: str, at: int) -> int:
    """The offset of the next statement, after blanks, semicolons and comments."""
    while gap := re.compile(r"[ \t\r\n\f\v;]+|--[^\r\n]*|/\*").match(text, at):
        at = gap.end()
        depth = 1 if gap[0] == "/*" else 0
        while depth and (mark := re.compile(r"/\*|\*/").search(text, at)):
            depth += 1 if mark[0] == "/*" else -1
            at = mark.end()
        if depth:
            return len(text)
    return at


class Token(NamedTuple):
    """A token: its ``name`` in the parser's grammar, its offsets, and its text."""

    name: str
    start: int
    end: int
    text: str


COMMENTS = ("SQL_COMMENT", "C_COMMENT")


def tokens_of(text: str) -> list[Token]:
    """The tokens of a text, without comments. Raises postgast.PgQueryError if it cannot be scanned."""
    import postgast

    names = {number: name for name, number in postgast.pg_query_pb2.Token.items()}
    data = text.encode()
    # The scanner counts bytes. To count characters, subtract the bytes that continue a character.
    continuations = [] if len(data) == len(text) else [at for at, byte in enumerate(data) if byte & 0xC0 == 0x80]
    tokens = []
    for token in postgast.scan(text).tokens:
        start, end = (at - bisect_right(continuations, at - 1) for at in (token.start, token.end))
        # A single character such as a control character has a number, but no name.
        tokens.append(Token(names.get(token.token, ""), start, end, text[start:end]))
    return [token for token in tokens if token.name not in COMMENTS]


def _scannable(text: str) -> tuple[str, Unscannable | None]:
    """The beginning of the text that can be scanned, and why the rest cannot."""
    import postgast

    first: Unscannable | None = None
    while True:
        try:
            postgast.scan(text)
        except postgast.PgQueryError as error:
            at = max(error.cursorpos - 1, 0)
            message = str(error)
            advice = next((text for what, text in CLOSE.items() if message.startswith(f"unterminated {what}")), "")
            message = re.sub(r" at or near \".*", "", message, flags=re.DOTALL)  # the caret shows where
            first = first or Unscannable(at, message, advice)
            text = text[: min(at, len(text) - 1)]
        else:
            return text, first


def _split_like_psql(text: str, tokens: list[Token]) -> Iterator[tuple[int, str]]:
    """Split at semicolons, except in parentheses and in the BEGIN ATOMIC … END of a function."""
    first: Token | None = None
    words: list[str] = []
    depth = blocks = 0
    for token in tokens:
        if token.text == ";" and depth <= 0 and not blocks:
            if first:
                yield first.start, text[first.start : token.start]
            first, words, depth = None, [], 0
            continue
        first = first or token
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        word = token.text.lower()
        words = words if len(words) == 4 else [*words, word]
        if depth == 0 and _creates_function(words):
            if word == "begin" or (blocks and word == "case"):
                blocks += 1
            elif word == "end" and blocks:
                blocks -= 1
    if first:
        yield first.start, text[first.start :]


def _creates_function(words: list[str]) -> bool:
    kinds = {"function", "procedure"}
    return words[:1] == ["create"] and bool(kinds & set(words[1:2] if words[1:2] != ["or"] else words[3:4]))
