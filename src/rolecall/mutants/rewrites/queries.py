"""Rewrites of queries: each is a mistake that an author can make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from postgast import pg_query_pb2 as pb

from rolecall.mutants.rewrites import expressions
from rolecall.sql.tree import Change, Rewrite, as_sql, become, expression, is_a


def drop_where(node: Any) -> Iterator[tuple[str, Change]]:
    """Leave out a whole WHERE or HAVING."""
    if node.DESCRIPTOR.name in ("SelectStmt", "UpdateStmt", "DeleteStmt") and node.HasField("where_clause"):
        yield f"without WHERE {as_sql(node.where_clause)}", lambda node: node.ClearField("where_clause")
    if node.DESCRIPTOR.name == "SelectStmt" and node.HasField("having_clause"):
        yield f"without HAVING {as_sql(node.having_clause)}", lambda node: node.ClearField("having_clause")


def drop_arm(node: Any) -> Iterator[tuple[str, Change]]:
    """Leave out each arm of a UNION."""
    if node.DESCRIPTOR.name == "SelectStmt" and node.op == pb.SETOP_UNION:
        for arm, other in (("larg", "second"), ("rarg", "first")):

            def change(node: Any, arm: str = arm) -> None:
                become(node, getattr(node, arm))

            yield f"the UNION without its {other} arm", change


OTHER_JOIN = {
    pb.JOIN_INNER: pb.JOIN_LEFT,
    pb.JOIN_LEFT: pb.JOIN_INNER,
    pb.JOIN_RIGHT: pb.JOIN_INNER,
    pb.JOIN_FULL: pb.JOIN_LEFT,
}
JOIN = {pb.JOIN_INNER: "JOIN", pb.JOIN_LEFT: "LEFT JOIN", pb.JOIN_RIGHT: "RIGHT JOIN", pb.JOIN_FULL: "FULL JOIN"}


def change_join(node: Any) -> Iterator[tuple[str, Change]]:
    """Swap LEFT JOIN and JOIN; leave out each column of a USING."""
    if node.DESCRIPTOR.name != "JoinExpr" or not (node.HasField("quals") or node.using_clause):
        return
    other = OTHER_JOIN[node.jointype]

    def change(node: Any) -> None:
        node.jointype = other

    yield f"{JOIN[node.jointype]} becomes {JOIN[other]}", change
    if len(node.using_clause) > 1:
        for place, column in enumerate(node.using_clause):

            def drop(node: Any, place: int = place) -> None:
                del node.using_clause[place]

            yield f"USING without {column.string.sval}", drop


def drop_on(node: Any) -> Iterator[tuple[str, Change]]:
    """Leave out the condition of a join: every row is joined with every row."""
    if node.DESCRIPTOR.name == "JoinExpr" and node.HasField("quals"):
        yield f"JOIN without ON {as_sql(node.quals)}", lambda node: become(node.quals, expression("true"))


def change_order(node: Any) -> Iterator[tuple[str, Change]]:
    """Reverse each direction of an ORDER BY; leave out each key."""
    if node.DESCRIPTOR.name == "SortBy":
        was_descending = node.sortby_dir == pb.SORTBY_DESC

        def change(node: Any) -> None:
            node.sortby_dir = pb.SORTBY_ASC if was_descending else pb.SORTBY_DESC

        yield f"ORDER BY {as_sql(node.node)} is turned round", change
    if node.DESCRIPTOR.name == "SelectStmt":
        for place, key in enumerate(node.sort_clause):

            def drop(node: Any, place: int = place) -> None:
                del node.sort_clause[place]

            yield f"without ORDER BY {as_sql(key.sort_by.node)}", drop


def change_nulls(node: Any) -> Iterator[tuple[str, Change]]:
    """Leave out NULLS FIRST and NULLS LAST."""
    if node.DESCRIPTOR.name == "SortBy" and node.sortby_nulls in (pb.SORTBY_NULLS_FIRST, pb.SORTBY_NULLS_LAST):
        which = "FIRST" if node.sortby_nulls == pb.SORTBY_NULLS_FIRST else "LAST"

        def change(node: Any) -> None:
            node.sortby_nulls = pb.SORTBY_NULLS_DEFAULT

        yield f"ORDER BY {as_sql(node.node)} without NULLS {which}", change


def change_limit(node: Any) -> Iterator[tuple[str, Change]]:
    """Leave out LIMIT and OFFSET; add one to them, unless :func:`expressions.change_constant` changes the number."""
    if node.DESCRIPTOR.name != "SelectStmt":
        return
    for clause, word in (("limit_count", "LIMIT"), ("limit_offset", "OFFSET")):
        if node.HasField(clause):

            def drop(node: Any, clause: str = clause) -> None:
                node.ClearField(clause)

            yield f"without {word}", drop
            if not is_a(getattr(node, clause), "a_const"):

                def more(node: Any, clause: str = clause) -> None:
                    become(getattr(node, clause), expression(f"({as_sql(getattr(node, clause))}) + 1"))

                yield f"{word} one more", more


def drop_distinct(node: Any) -> Iterator[tuple[str, Change]]:
    """Leave out the DISTINCT of a query or an aggregate; swap UNION and UNION ALL."""
    if node.DESCRIPTOR.name == "SelectStmt" and node.distinct_clause:
        yield "without DISTINCT", lambda node: node.ClearField("distinct_clause")
    if node.DESCRIPTOR.name == "FuncCall" and node.agg_distinct:
        yield f"{node.funcname[-1].string.sval} without DISTINCT", lambda node: node.ClearField("agg_distinct")
    if node.DESCRIPTOR.name == "SelectStmt" and node.op == pb.SETOP_UNION:

        def change(node: Any) -> None:
            node.all = not node.all

        yield ("UNION ALL becomes UNION" if node.all else "UNION becomes UNION ALL"), change


def drop_partition(node: Any) -> Iterator[tuple[str, Change]]:
    """Leave out the PARTITION BY of a window."""
    if node.DESCRIPTOR.name == "WindowDef" and node.partition_clause:
        yield "without PARTITION BY", lambda node: node.ClearField("partition_clause")


def drop_filter(node: Any) -> Iterator[tuple[str, Change]]:
    """Leave out the FILTER of an aggregate."""
    if node.DESCRIPTOR.name == "FuncCall" and node.HasField("agg_filter"):
        yield f"without FILTER {as_sql(node.agg_filter)}", lambda node: node.ClearField("agg_filter")


QUERY: tuple[Rewrite, ...] = (
    *expressions.PREDICATE,
    *(drop_where, drop_arm, change_join, drop_on, change_order, change_nulls, change_limit),
    *(drop_distinct, drop_partition, drop_filter, expressions.drop_default),
)
