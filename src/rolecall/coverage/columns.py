"""The columns that a statement uses, with their tables and privileges."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import postgast
from postgast.walk import unwrap_node

from rolecall.sql.tree import walk

PARAMETER = re.compile(r"%(\(\w+\))?[sbt]")  # of psycopg: it is no SQL
WRITES = {"InsertStmt": ("insert", "cols"), "UpdateStmt": ("update", "target_list")}

ColumnUse = tuple[str, str, str]


def columns_used(text: str) -> set[ColumnUse]:
    """The columns that a statement uses: qualified table, ``select``, ``insert`` or ``update``, and column.

    A column that is read counts for every table of the statement, since the statement does not say whose it is.
    Empty if the text does not parse.
    """
    try:
        parsed = postgast.parse(PARAMETER.sub("NULL", text))
    except postgast.PgQueryError:
        return set()
    return {use for raw in parsed.stmts for use in _columns_of(unwrap_node(raw.stmt))}


def _columns_of(statement: Any) -> Iterator[ColumnUse]:
    nodes = list(walk(statement))
    for node in nodes:
        if node.DESCRIPTOR.name in WRITES:
            privilege, clause = WRITES[node.DESCRIPTOR.name]
            for target in getattr(node, clause):
                yield _name(node.relation), privilege, target.res_target.name
    tables = [_name(node) for node in nodes if node.DESCRIPTOR.name == "RangeVar"]
    for node in nodes:
        if node.DESCRIPTOR.name == "ColumnRef" and node.fields[-1].HasField("string"):
            yield from ((table, "select", node.fields[-1].string.sval) for table in tables)


def _name(relation: Any) -> str:
    return f"{relation.schemaname}.{relation.relname}"
