"""Rewrites of scripts: each is a mistake that an author can make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import postgast
from postgast import pg_query_pb2 as pb
from postgast.walk import unwrap_node

from rolecall.sql.tree import Change, as_sql, become, expression, is_a

COMPARISONS = {pb.AEXPR_OP: ("=", "<>"), pb.AEXPR_DISTINCT: ("=",), pb.AEXPR_NOT_DISTINCT: ("=",)}
FORMS = {"in lower case": "lower(({})::text)", "by 40 characters": "left(({})::text, 40)"}


def compare_roughly(node: Any) -> Iterator[tuple[str, Change]]:
    """Compare two columns or calls without their case, or only their beginning."""
    if not is_a(node, "a_expr") or node.a_expr.name[0].string.sval not in COMPARISONS.get(node.a_expr.kind, ()):
        return
    if any(side.WhichOneof("node") not in ("column_ref", "func_call") for side in _sides(node)):
        return
    for what, form in FORMS.items():

        def change(node: Any, form: str = form) -> None:
            for side in _sides(node):
                become(side, expression(form.format(as_sql(side))))

        yield f"{as_sql(node)} {what}", change


def _sides(node: Any) -> tuple[Any, Any]:
    return node.a_expr.lexpr, node.a_expr.rexpr


def change_boolean(node: Any) -> Iterator[tuple[str, Change]]:
    """Reverse true and false, for example whether set_config is local to the transaction."""
    if node.DESCRIPTOR.name == "FuncCall":
        for place, argument in enumerate(node.args):
            if is_a(argument, "a_const") and argument.a_const.HasField("boolval"):
                value = argument.a_const.boolval.boolval

                def change(node: Any, place: int = place, value: bool = value) -> None:
                    node.args[place].a_const.boolval.boolval = not value

                call = " ".join(as_sql(each) for each in node.args)
                yield f"{node.funcname[-1].string.sval} {call}: {value} becomes {not value}".lower(), change


def set_for_good(node: Any) -> Iterator[tuple[str, Change]]:
    """SET instead of SET LOCAL: the setting stays in the session."""
    if node.DESCRIPTOR.name == "VariableSetStmt" and node.is_local:
        yield f"SET LOCAL {node.name} becomes SET", lambda node: setattr(node, "is_local", False)


def bodies(statement: str) -> Iterator[str]:
    """The body of a DO block."""
    for raw in postgast.parse(statement).stmts:
        node: Any = unwrap_node(raw.stmt)
        if node.DESCRIPTOR.name == "DoStmt":
            options = (argument.def_elem for argument in node.args)
            yield from (option.arg.string.sval for option in options if option.defname == "as")
