"""The tables, columns and functions that the text of a function names. PostgreSQL itself does not record them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import postgast

from rolecall.catalog.dependencies import Body, Dependency
from rolecall.catalog.plpgsql import as_procedure
from rolecall.catalog.snapshot import Item
from rolecall.sql.tree import walk

# The parser's output for a trigger function is not valid JSON: it is read as a function with two records.
TRIGGER = "CREATE FUNCTION f(new record, old record) RETURNS record LANGUAGE plpgsql AS $rolecall${}$rolecall$"


Known = Mapping[tuple[str, str, str], Item]


def known(items: Iterable[Item]) -> Known:
    """The items by kind, name and part, all without quotes and arguments. Overloaded functions are left out."""
    found: dict[tuple[str, str, str], list[Item]] = {}
    for item in items:
        name = item.object.split("(")[0] if item.kind == "routine" else item.object
        found.setdefault((item.kind, name.replace('"', ""), item.part.replace('"', "")), []).append(item)
    return {key: each[0] for key, each in found.items() if len(each) == 1}


def dependencies(body: Body, items: Known) -> Iterator[Dependency]:
    """What the body of a function needs of these items. What EXECUTE builds at run time is not seen."""
    for text in _queries(body):
        for tree in _trees(text):
            for item in _named(tree, items):
                yield Dependency(body.item, item)


def _queries(body: Body) -> Iterator[str]:
    """The statements and expressions of a body. None if the parser does not know a type that it declares."""
    if body.language == "sql":
        yield body.source
        return
    try:
        parsed = postgast.parse_plpgsql(
            TRIGGER.format(body.source) if body.is_trigger else as_procedure(body.definition)
        )
    except (postgast.PgQueryError, ValueError):
        return
    yield from _values(parsed, "query")


def _values(data: Any, key: str) -> Iterator[str]:
    """Every text under a key, anywhere in the data."""
    if isinstance(data, dict):
        if isinstance(data.get(key), str):
            yield data[key]
        for value in data.values():
            yield from _values(value, key)
    elif isinstance(data, list):
        for value in data:
            yield from _values(value, key)


def _trees(text: str) -> Iterator[Any]:
    """A text as a statement, as an expression or as an assignment: the first that the parser accepts."""
    for form in (text, f"SELECT {text}", "SELECT " + re.sub(r"^.*?:?=", "", text, count=1, flags=re.DOTALL)):
        try:
            yield postgast.parse(form)
            return
        except postgast.PgQueryError:
            continue


def _named(tree: Any, items: Known) -> Iterator[Item]:
    """The items that a statement names with their schema, and the columns of its tables."""
    nodes = list(walk(tree))
    ranges = [node for node in nodes if node.DESCRIPTOR.name == "RangeVar" and node.schemaname]
    tables = {str(node.alias.aliasname or node.relname): _name(node) for node in ranges}
    for name in tables.values():
        yield from _present(items, [("relation", name, "")])
    for node in nodes:
        if node.DESCRIPTOR.name == "ColumnRef":
            *qualifier, column = [field.string.sval for field in node.fields]
            # A column without a table is of the only table that has it. A qualifier may also be a PL/pgSQL variable.
            names = [tables[qualifier[-1]]] if qualifier and qualifier[-1] in tables else []
            names = names if qualifier else list(tables.values())
            yield from _present(items, {("relation", name, f"column {column}") for name in names})
        elif node.DESCRIPTOR.name in ("InsertStmt", "UpdateStmt"):
            targets = node.cols if node.DESCRIPTOR.name == "InsertStmt" else node.target_list
            for target in targets:
                column = target.res_target.name
                yield from _present(items, [("relation", _name(node.relation), f"column {column}")])
        elif node.DESCRIPTOR.name == "FuncCall":
            name = ".".join(part.string.sval for part in node.funcname)
            yield from _present(items, [("routine", name, "")])


def _present(items: Known, keys: Iterable[tuple[str, str, str]]) -> Iterator[Item]:
    """The item of the keys that exists. None if there are two, because then it is not clear which is meant."""
    found = [items[key] for key in keys if key in items]
    if len(found) == 1:
        yield found[0]


def _name(node: Any) -> str:
    return f"{node.schemaname}.{node.relname}"
