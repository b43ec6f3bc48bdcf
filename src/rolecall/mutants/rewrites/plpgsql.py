"""Rewrites of PL/pgSQL bodies, which PostgreSQL's own parser (postgast) reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import postgast

from rolecall.catalog.definitions import Function
from rolecall.mutants.rewrites import queries
from rolecall.sql.tree import Edit, edit, edit_expression


class Part(NamedTuple):
    """A node of a body: its kind (``PLpgSQL_stmt_if`` …), its data from the parser, and its line, from 1."""

    kind: str
    node: dict[str, Any]
    line: int


def parts(function: Function) -> Iterator[Part]:
    """Every statement and expression of a body, in order."""
    definition = function.definition
    if function.is_trigger:
        # The parser's output for a trigger function is not valid JSON: parse it as a function with two records.
        head = "CREATE FUNCTION f(new record, old record) RETURNS record LANGUAGE plpgsql AS"
        definition = f"{head} $rolecall${function.source}$rolecall$"
    parsed = postgast.parse_plpgsql(definition)
    yield from _parts(parsed[0]["PLpgSQL_function"]["action"], 1)


def statements(body: str) -> Iterator[str]:
    """The SQL statements of a DO block, without those that EXECUTE builds at run time."""
    definition = f"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $rolecall${body}$rolecall$"
    tree = postgast.parse_plpgsql(definition)[0]["PLpgSQL_function"]["action"]
    for part in _parts(tree, 1):
        if part.kind == "PLpgSQL_stmt_execsql":
            yield part.node["sqlstmt"]["PLpgSQL_expr"]["query"]


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
    """Every single change of a body: edited expressions and queries, RAISEs left out, conditions of IF replaced."""
    source = function.source
    for part in parts(function):
        if part.kind == "PLpgSQL_expr":
            query = part.node["query"]
            start = source.find(query, _line_start(source, part.line))
            if start < 0:
                continue
            for what, text in _edits_of(query, is_statement=part.node.get("parseMode", 0) == 0):
                yield what, source[:start] + text + source[start + len(query) :]
        elif part.kind in ("PLpgSQL_stmt_if", "PLpgSQL_if_elsif"):
            condition = part.node["cond"]["PLpgSQL_expr"]["query"]
            start = source.index(condition, _line_start(source, part.line))
            for text in ("true", "false", f"NOT ({condition})"):
                yield f"IF {condition}: {text}", source[:start] + text + source[start + len(condition) :]
        elif part.kind == "PLpgSQL_stmt_raise":
            start, end = _statement(source, part.line, "raise")
            yield f"without {_first_line(source[start:end])}", f"{source[:start]}NULL;{source[end:]}"
            for code, at in _codes(part, source, start):
                default = "'P0001'" if code.startswith("'") else "raise_exception"
                yield f"ERRCODE {code} lost", f"{source[:at]}{default}{source[at + len(code) :]}"


def _codes(part: Part, source: str, start: int) -> Iterator[tuple[str, int]]:
    """The SQLSTATE of a RAISE, in USING ERRCODE or as its condition, and its offset."""
    for option in part.node.get("options", []):
        if option["PLpgSQL_raise_option"].get("opt_type", 0) == 0:  # ERRCODE
            code = option["PLpgSQL_raise_option"]["expr"]["PLpgSQL_expr"]["query"]
            yield code, source.index(code, next(at for at, word in _words(source, start) if word == "errcode"))
    if condition := part.node.get("condname"):
        for at, word in _words(source, start):
            if word in (condition, f"'{condition}'".lower()):
                yield source[at : at + len(word)], at
                break


def _edits_of(query: str, *, is_statement: bool) -> Iterator[Edit]:
    try:
        if is_statement:
            yield from edit(query, queries.QUERY)
        else:
            yield from edit_expression(query, queries.QUERY)
    except postgast.PgQueryError:
        return  # e.g. the target of an assignment: not an expression by itself


def _line_start(source: str, line: int) -> int:
    """The offset of a line of the body, counted from 1."""
    offset = 0
    for _ in range(line - 1):
        offset = source.find("\n", offset) + 1
    return offset


def _statement(source: str, line: int, first: str) -> tuple[int, int]:
    """The start and end offsets, with the semicolon, of the statement on a line that begins with this word."""
    start = next(at for at, word in _words(source, _line_start(source, line)) if word == first)
    end = next((at + 1 for at, word in _words(source, start) if word == ";"), len(source))
    return start, end


def _words(source: str, start: int) -> Iterator[tuple[int, str]]:
    """The tokens from an offset on, in lower case, each with its offset."""
    rest = source[start:].encode()
    for token in postgast.scan(source[start:]).tokens:
        yield start + len(rest[: token.start].decode()), rest[token.start : token.end].decode().lower()


def _first_line(statement: str) -> str:
    return re.sub(r"\s+", " ", statement)[:60].rstrip(";")
