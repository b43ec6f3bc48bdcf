"""Rewrites of how values are compared and rows are collected: each is a mistake that an author can make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import postgast
from postgast import pg_query_pb2 as pb

from rolecall.sql.tree import Change, as_sql, become, expression, is_a

TEXT_TYPES = ("text", "varchar", "bpchar")
TEXT_OPERATORS = ("->>", "#>>", "||")
TEXT_FUNCTIONS = ("lower", "upper", "btrim", "ltrim", "rtrim", "split_part")
AGGREGATES = {
    *("count", "sum", "avg", "min", "max", "bool_and", "bool_or", "array_agg", "string_agg"),
    *("json_agg", "jsonb_agg", "json_object_agg", "jsonb_object_agg"),
}


def match_loosely(node: Any) -> Iterator[tuple[str, Change]]:
    """Compare two texts without their case, or only the beginning."""
    if not is_a(node, "a_expr") or node.a_expr.kind != pb.AEXPR_OP or node.a_expr.name[0].string.sval != "=":
        return
    if not any(map(_is_text, (node.a_expr.lexpr, node.a_expr.rexpr))):
        return
    for what, form in (("ignores case", "lower({0}) = lower({1})"), ("is a prefix match", "starts_with({0}, {1})")):

        def change(node: Any, form: str = form) -> None:
            sides = (as_sql(node.a_expr.lexpr), as_sql(node.a_expr.rexpr))
            become(node, expression(form.format(*(f"({side})::text" for side in sides))))

        yield f"{as_sql(node)} {what}", change


def _is_text(node: Any) -> bool:
    match node.WhichOneof("node"):
        case "a_const":
            return bool(node.a_const.HasField("sval"))
        case "type_cast":
            return node.type_cast.type_name.names[-1].string.sval in TEXT_TYPES
        case "a_expr":
            return node.a_expr.name[-1].string.sval in TEXT_OPERATORS
        case "func_call":
            return node.func_call.funcname[-1].string.sval in TEXT_FUNCTIONS
    return False


def limit_subquery(node: Any) -> Iterator[tuple[str, Change]]:
    """Let IN (SELECT …), ANY (SELECT …) and ARRAY(SELECT …) see one row."""
    if node.DESCRIPTOR.name != "SubLink" or node.sub_link_type not in (pb.ANY_SUBLINK, pb.ARRAY_SUBLINK):
        return
    if not node.subselect.select_stmt.HasField("limit_count"):
        yield "LIMIT 1 in the subquery", lambda node: _limit(node.subselect.select_stmt, 1)


MANY = 100  # rows of a page, which an author takes for enough


def limit_result(node: Any) -> Iterator[tuple[str, Change]]:
    """Cut the result of a statement to a page."""
    if (query := _result(node)) and not query.HasField("limit_count"):
        yield f"LIMIT {MANY}", lambda node: _limit(node.stmt.select_stmt, MANY)


def add_distinct(node: Any) -> Iterator[tuple[str, Change]]:
    """Leave out equal rows of a result, or equal values of a count or a sum."""
    if (query := _result(node)) and not query.distinct_clause and query.op == pb.SETOP_NONE:

        def change(node: Any) -> None:
            distinct = postgast.parse("SELECT DISTINCT 1").stmts[0].stmt.select_stmt
            node.stmt.select_stmt.distinct_clause.extend(distinct.distinct_clause)

        yield "DISTINCT", change
    if node.DESCRIPTOR.name == "FuncCall" and node.args and not node.agg_distinct:
        name = node.funcname[-1].string.sval
        if name in ("count", "sum", "array_agg"):
            yield f"{name} of DISTINCT", lambda node: setattr(node, "agg_distinct", True)


OTHER_FUNCTIONS = {
    "min": "max",
    "max": "min",
    "sum": "max",
    "avg": "max",
    "round": "floor",
    "floor": "ceil",
    "ceil": "floor",
    "ceiling": "floor",
    "trunc": "round",
}


def change_function(node: Any) -> Iterator[tuple[str, Change]]:
    """Call another aggregate, or round in another direction."""
    if node.DESCRIPTOR.name == "FuncCall" and (other := OTHER_FUNCTIONS.get(name := node.funcname[-1].string.sval)):

        def change(node: Any) -> None:
            node.funcname[-1].string.sval = other

        yield f"{name} becomes {other}", change


def round_down(node: Any) -> Iterator[tuple[str, Change]]:
    """Cut off a fraction that a cast to a whole number rounds."""
    if not is_a(node, "type_cast") or not is_a(node.type_cast.arg, "a_expr"):
        return
    if node.type_cast.type_name.names[-1].string.sval in ("int2", "int4", "int8"):

        def change(node: Any) -> None:
            become(node.type_cast.arg, expression(f"floor({as_sql(node.type_cast.arg)})"))

        yield f"{as_sql(node)} is rounded down", change


def only_default(node: Any) -> Iterator[tuple[str, Change]]:
    """Take the default of COALESCE in any case."""
    if is_a(node, "coalesce_expr") and len(node.coalesce_expr.args) > 1:
        yield f"{as_sql(node)} is its default", lambda node: become(node, node.coalesce_expr.args[-1])


def drop_time_zone(node: Any) -> Iterator[tuple[str, Change]]:
    """Leave out AT TIME ZONE."""
    if is_a(node, "func_call") and node.func_call.funcname[-1].string.sval == "timezone":
        yield f"{as_sql(node)} without its time zone", lambda node: become(node, node.func_call.args[-1])


RESULT = (limit_result, add_distinct, change_function, round_down, only_default, drop_time_zone, match_loosely)


def _result(node: Any) -> Any | None:
    """The query whose rows are the result of a statement, unless it has always one row; else None."""
    if node.DESCRIPTOR.name != "RawStmt" or not is_a(node.stmt, "select_stmt"):
        return None
    query = node.stmt.select_stmt
    calls = (target.res_target.val for target in query.target_list)
    is_aggregate = any(
        is_a(call, "func_call") and call.func_call.funcname[-1].string.sval in AGGREGATES for call in calls
    )
    return (
        None
        if not (query.from_clause or query.op != pb.SETOP_NONE) or (is_aggregate and not query.group_clause)
        else query
    )


def _limit(query: Any, rows: int) -> None:
    limited = postgast.parse(f"SELECT 1 LIMIT {rows}").stmts[0].stmt.select_stmt
    query.limit_count.CopyFrom(limited.limit_count)
    query.limit_option = limited.limit_option
