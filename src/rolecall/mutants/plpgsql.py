"""PL/pgSQL bodies: what is in them, and where, told by PostgreSQL's own parser (postgast)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import postgast

from rolecall.mutants import expressions
from rolecall.schema import Function


class Part(NamedTuple):
    """A node of a body: its kind (``PLpgSQL_stmt_if`` …), what the parser says of it, and its line, from 1."""

    kind: str
    node: dict[str, Any]
    line: int


def parts(function: Function) -> Iterator[Part]:
    """Every statement and expression of a body, in order."""
    definition = function.definition
    if function.is_trigger:
        # What the parser says of a trigger's function is no JSON; with its records as parameters it is none.
        head = "CREATE FUNCTION f(new record, old record) RETURNS record LANGUAGE plpgsql AS"
        definition = f"{head} $rolecall${function.source}$rolecall$"
    parsed = postgast.parse_plpgsql(definition)
    yield from _parts(parsed[0]["PLpgSQL_function"]["action"], 1)


def _parts(tree: Any, line: int) -> Iterator[Part]:
    if isinstance(tree, list):
        for each in tree:
            yield from _parts(each, line)
    elif isinstance(tree, dict):
        for kind, node in tree.items():
            if kind.startswith("PLpgSQL_") and isinstance(node, dict):
                line = node.get("lineno", line)
                yield Part(kind, node, line)
            yield from _parts(node, line)


def edits(function: Function) -> Iterator[tuple[str, str]]:
    """Every single change of a body: its expressions and queries edited, its RAISEs and IFs taken out."""
    source, after = function.source, 0
    for part in parts(function):
        if part.kind == "PLpgSQL_expr":
            query = part.node["query"]
            start = source.find(query, max(after, _line_start(source, part.line)))
            if start < 0:
                continue
            for what, text in _edits_of(query, is_statement=part.node.get("parseMode", 0) == 0):
                yield what, source[:start] + text + source[start + len(query) :]
        elif part.kind == "PLpgSQL_stmt_if":
            condition = part.node["cond"]["PLpgSQL_expr"]["query"]
            start = source.index(condition, _line_start(source, part.line))
            for text in ("true", "false", f"NOT ({condition})"):
                yield f"IF {condition}: {text}", source[:start] + text + source[start + len(condition) :]
        elif part.kind == "PLpgSQL_stmt_raise":
            start, end = _statement(source, part.line)
            yield f"without {_first_line(source[start:end])}", f"{source[:start]}NULL;{source[end:]}"
            for option in part.node.get("options", []):
                if option["PLpgSQL_raise_option"].get("opt_type", 0) == 0:  # ERRCODE
                    code = option["PLpgSQL_raise_option"]["expr"]["PLpgSQL_expr"]["query"]
                    at = source.index(code, source.index("ERRCODE", start))
                    yield f"ERRCODE {code} lost", f"{source[:at]}'P0001'{source[at + len(code) :]}"


def _edits_of(query: str, *, is_statement: bool) -> Iterator[expressions.Edit]:
    try:
        if is_statement:
            yield from expressions.edit(query, expressions.QUERY)
        else:
            yield from expressions.edit_expression(query, expressions.QUERY)
    except postgast.PgQueryError:
        return  # an assignment's target and the like: not an expression by itself


def _line_start(source: str, line: int) -> int:
    """The offset of a line of the body, counted from 1."""
    offset = 0
    for _ in range(line - 1):
        offset = source.find("\n", offset) + 1
    return offset


def _statement(source: str, line: int) -> tuple[int, int]:
    """Where the statement that begins on a line starts and ends, its semicolon included."""
    start = _line_start(source, line)
    start += len(source[start:]) - len(source[start:].lstrip())
    for token in postgast.scan(source[start:]).tokens:
        if source[start:].encode()[token.start : token.end] == b";":
            return start, start + len(source[start:].encode()[: token.end].decode())
    return start, len(source)


def _first_line(statement: str) -> str:
    return re.sub(r"\s+", " ", statement)[:60].rstrip(";")
