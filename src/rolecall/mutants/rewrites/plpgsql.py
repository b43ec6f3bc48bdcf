"""Rewrites of PL/pgSQL bodies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import postgast

from rolecall.catalog.definitions import Function
from rolecall.catalog.plpgsql import Part, line_start, parts
from rolecall.mutants.rewrites import queries
from rolecall.sql.tree import Edit, Rewrite, edit, edit_expression


def edits(function: Function) -> Iterator[tuple[str, str]]:
    """Every single change of a body: edited expressions and queries, RAISEs left out, conditions of IF replaced."""
    for part in parts(function):
        yield from edit_parts(function.source, [part], queries.QUERY)
        yield from change_checks(function.source, [part])


def edit_parts(source: str, parts: Iterable[Part], rewrites: Iterable[Rewrite]) -> Iterator[tuple[str, str]]:
    """Every single change of the expressions and queries among these parts of a source."""
    for part in parts:
        if part.kind == "PLpgSQL_expr":
            query = part.node["query"]
            start = source.find(query, line_start(source, part.line))
            if start >= 0:
                for what, text in _edits_of(query, rewrites, is_statement=part.node.get("parseMode", 0) == 0):
                    yield what, source[:start] + text + source[start + len(query) :]


def change_checks(source: str, parts: Iterable[Part]) -> Iterator[tuple[str, str]]:
    """Every RAISE left out or without its SQLSTATE, and every condition of an IF replaced."""
    for part in parts:
        if part.kind in ("PLpgSQL_stmt_if", "PLpgSQL_if_elsif"):
            condition = part.node["cond"]["PLpgSQL_expr"]["query"]
            start = source.index(condition, line_start(source, part.line))
            for text in ("true", "false", f"NOT ({condition})"):
                yield f"IF {condition}: {text}", source[:start] + text + source[start + len(condition) :]
        elif part.kind == "PLpgSQL_stmt_raise":
            start, end = _statement(source, part.line, "raise")
            yield f"without {_first_line(source[start:end])}", f"{source[:start]}NULL;{source[end:]}"
            for code, at in _codes(part, source, start):
                default = "'P0001'" if code.startswith("'") else "raise_exception"
                yield f"ERRCODE {code} lost", f"{source[:at]}{default}{source[at + len(code) :]}"


CALLS = {"PLpgSQL_stmt_perform": "perform", "PLpgSQL_stmt_dynexecute": "execute"}


def drop_calls(source: str, parts: Iterable[Part]) -> Iterator[tuple[str, str]]:
    """Leave out each PERFORM and EXECUTE."""
    for part in parts:
        if word := CALLS.get(part.kind):
            start, end = _statement(source, part.line, word)
            yield f"without {_first_line(source[start:end])}", f"{source[:start]}NULL;{source[end:]}"


def other_returns(function: Function) -> Iterator[tuple[str, str]]:
    """Each RETURN of a trigger function with another row, or without one."""
    source = function.source
    for part in parts(function):
        if part.kind == "PLpgSQL_stmt_return" and "lineno" in part.node:
            start, end = _statement(source, part.line, "return")
            for row in ("NEW", "OLD", "NULL"):
                if source[start:end].rstrip(";").split()[-1].upper() != row:
                    what = f"{_first_line(source[start:end])} becomes RETURN {row}"
                    yield what, f"{source[:start]}RETURN {row};{source[end:]}"


def swallow_errors(function: Function, result: str) -> Iterator[tuple[str, str]]:
    """The body with a handler that catches every error and returns ``result``; none if it has a handler."""
    source = function.source
    if any(part.kind == "PLpgSQL_exception_block" for part in parts(function)):
        return
    *_, end = [at for at, word in _words(source, 0) if word == "end"]
    yield "errors are swallowed", f"{source[:end]}EXCEPTION WHEN OTHERS THEN RETURN {result};\n{source[end:]}"


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


def _edits_of(query: str, rewrites: Iterable[Rewrite], *, is_statement: bool) -> Iterator[Edit]:
    try:
        if is_statement:
            yield from edit(query, rewrites)
        else:
            yield from edit_expression(query, rewrites)
    except postgast.PgQueryError:
        return  # e.g. the target of an assignment: not an expression by itself


def _statement(source: str, line: int, first: str) -> tuple[int, int]:
    """The start and end offsets, with the semicolon, of the statement on a line that begins with this word."""
    start = next(at for at, word in _words(source, line_start(source, line)) if word == first)
    end = next((at + 1 for at, word in _words(source, start) if word == ";"), len(source))
    return start, end


def words(source: str) -> set[str]:
    """The tokens of a body, in lower case."""
    return {word for _, word in _words(source, 0)}


def _words(source: str, start: int) -> Iterator[tuple[int, str]]:
    """The tokens from an offset on, in lower case, each with its offset."""
    rest = source[start:].encode()
    for token in postgast.scan(source[start:]).tokens:
        yield start + len(rest[: token.start].decode()), rest[token.start : token.end].decode().lower()


def _first_line(statement: str) -> str:
    return re.sub(r"\s+", " ", statement)[:60].rstrip(";")
