"""The statements and expressions of PL/pgSQL bodies, which PostgreSQL's own parser (postgast) reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import postgast

from rolecall.catalog.definitions import Function
from rolecall.catalog.foreign_types import without_foreign_types


class Part(NamedTuple):
    """A node of a body: its kind (``PLpgSQL_stmt_if`` …), its data from the parser, and its line, from 1."""

    kind: str
    node: dict[str, Any]
    line: int


def parts(function: Function) -> Iterator[Part]:
    """Every statement and expression of a function's body, in order."""
    if function.is_trigger:
        # The parser's output for a trigger function is not valid JSON: parse it as a function with two records.
        return body_parts(function.source, "new record, old record", "record")
    return _parsed(function.definition)


def body_parts(body: str, arguments: str = "", result: str = "void") -> Iterator[Part]:
    """Every statement and expression of a body, in order. The default is a DO block's."""
    head = f"CREATE FUNCTION f({arguments}) RETURNS {result} LANGUAGE plpgsql AS"
    return _parsed(f"{head} $rolecall${body}$rolecall$")


class Statement(NamedTuple):
    """An SQL statement of a body, and its offset there."""

    text: str
    start: int


def statements(body: str) -> Iterator[Statement]:
    """The SQL statements of a DO block, without those that EXECUTE builds at run time."""
    for part in body_parts(body):
        if part.kind == "PLpgSQL_stmt_execsql":
            text = part.node["sqlstmt"]["PLpgSQL_expr"]["query"]
            start = line_start(body, part.line)
            yield Statement(text, max(body.find(text, start), start))


def do_bodies(node: Any) -> list[str]:
    """The body of a DO statement, in a list: the grammar allows a DO without one."""
    options = (argument.def_elem for argument in node.args)
    return [option.arg.string.sval for option in options if option.defname == "as"]


def _parsed(definition: str) -> Iterator[Part]:
    parsed = postgast.parse_plpgsql(without_foreign_types(as_procedure(definition)))
    return _parts(parsed[0]["PLpgSQL_function"]["action"], 1)


def as_procedure(definition: str) -> str:
    """A function as PostgreSQL writes it, but an event trigger returns void.

    The parser's output for an event trigger is not valid JSON.
    """
    return definition.replace("\n RETURNS event_trigger\n", "\n RETURNS void\n", 1)


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


class Expression(NamedTuple):
    """A query or an expression of a body, and its offset there. A condition is that of IF, WHILE, EXIT or CASE."""

    text: str
    start: int
    is_statement: bool
    is_condition: bool


# The nodes that have a condition, with its name. The condition of CASE is a value if the CASE compares with one.
WITH_A_CONDITION = {
    **{f"PLpgSQL_{kind}": "cond" for kind in ("stmt_if", "if_elsif", "stmt_while", "stmt_exit")},
    "PLpgSQL_case_when": "expr",
}


def expressions(function: Function) -> Iterator[Expression]:
    """Every query and expression whose text the body has, in order."""
    conditions: list[Any] = []
    for part in parts(function):
        if part.kind in WITH_A_CONDITION:
            conditions.append(part.node.get(WITH_A_CONDITION[part.kind], {}).get("PLpgSQL_expr"))
        elif part.kind == "PLpgSQL_expr":
            query = part.node["query"]
            start = function.source.find(query, line_start(function.source, part.line))
            if start >= 0:
                is_condition = any(part.node is each for each in conditions)
                yield Expression(query, start, part.node.get("parseMode", 0) == 0, is_condition)


def line_start(source: str, line: int) -> int:
    """The offset of a line of the body, counted from 1."""
    offset = 0
    for _ in range(line - 1):
        offset = source.find("\n", offset) + 1
    return offset
