"""Finds the text of a grid in the source of its module, as Python's own parser sees it."""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from typing import NamedTuple

from rolecall.errors import RolecallError


class LeftAloneError(RolecallError):
    """A grid that is not rewritten. The text is the reason, as the end of a sentence."""


class Literal(NamedTuple):
    """The text of a grid: from character ``start`` of the source to ``end``, without the quotes.

    ``newline`` ends its lines there.
    """

    start: int
    end: int
    text: str
    newline: str


def find(source: str, line: int) -> Literal:
    """The text of the ``grid(…)`` that is called in a line.

    Raises LeftAloneError if it is not one literal in triple quotes that has the text as it is.
    """
    node = _argument(source, line)
    if isinstance(node, ast.JoinedStr):
        raise LeftAloneError("its text is an f-string")
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        raise LeftAloneError("its text is computed")
    start, end = _offset(source, node.lineno, node.col_offset), _offset(source, node.end_lineno, node.end_col_offset)
    literal = source[start:end]
    tokens = tokenize.generate_tokens(io.StringIO(literal, newline="").readline)
    if sum(token.type == tokenize.STRING for token in tokens) != 1:
        raise LeftAloneError("its text is in several parts")
    quotes = literal[-3:]
    if quotes not in ('"""', "'''") or not literal.rstrip(quotes[0]).lstrip("rRuU").startswith(quotes):
        raise LeftAloneError("its text is not in triple quotes")
    start, end = start + literal.index(quotes) + 3, end - 3
    newline = "\r\n" if "\r\n" in literal else "\n"
    if source[start:end] != node.value.replace("\n", newline):
        raise LeftAloneError("its text has a backslash, or lines that end in different ways")
    return Literal(start, end, node.value, newline)


def with_text(source: str, literal: Literal, text: str) -> str:
    """The source with another text in place of a literal's.

    Raises LeftAloneError if Python would read another text.
    """
    new = source[: literal.start] + text.replace("\n", literal.newline) + source[literal.end :]
    line = source.count("\n", 0, literal.start)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a backslash that Python will read in another way one day
            found = any(isinstance(node, ast.Constant) and node.value == text for node in ast.walk(ast.parse(new)))
    except (SyntaxError, ValueError, Warning):
        found = False
    if not found:
        raise LeftAloneError(f"a name in it cannot be written in the text of line {line + 1}")
    return new


def _argument(source: str, line: int) -> ast.expr:
    """The argument of ``grid`` that is the text. No other call has ``update`` and such an argument."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and node.lineno == line:
            named = {keyword.arg: keyword.value for keyword in node.keywords}
            text = named.get("text", node.args[1] if len(node.args) > 1 else None)
            if text is not None and ("update" in named or None in named):
                found.append(text)
    if len(found) != 1:
        raise LeftAloneError("its call is not in this line")
    return found[0]


def _offset(source: str, line: int | None, column: int | None) -> int:
    """The character at a place of Python's parser: lines count from 1, columns are bytes in UTF-8."""
    lines = io.StringIO(source, newline="").readlines()
    before = lines[: (line or 1) - 1]
    inside = lines[(line or 1) - 1].encode()[: column or 0].decode()
    return sum(map(len, before)) + len(inside)
