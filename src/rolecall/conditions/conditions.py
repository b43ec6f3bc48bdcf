"""The conditions of a text, and the text with one of them replaced.

A condition is what AND, OR, NOT and IS TRUE combine: in WHERE, HAVING, JOIN … ON, FILTER, CASE WHEN, and in what
COALESCE gives a boolean default to; also in subqueries. It decides if the result changes when it is replaced
(condition mutation; MC/DC of DO-178C asks for the same).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from postgast import pg_query_pb2 as pb

from rolecall.sql.tree import as_sql, become, edit, expression, is_a, walk

# By the value with which a condition decides: what replaces the condition. If nothing changes then, the world has
# no row and persona for which only this condition has that value.
REPLACEMENTS = {"false": "true", "true": "false", "NULL": "({0}) IS NOT FALSE"}
NAMED = re.compile(r"\(SELECT ([\w.]+\(\)) AS \w+\)")  # as the catalog writes (SELECT auth.uid())
MAX_LENGTH = 120  # characters of a condition in a message
MAY_BE_MISSING = {"->", "->>", "#>", "#>>"}  # operators that give NULL for values that are not NULL
NEVER_NULL = (pb.AEXPR_DISTINCT, pb.AEXPR_NOT_DISTINCT)

IsNullable = Callable[[str, str], bool]  # by the qualifier, which may be empty, and the name of a column


class Variant(NamedTuple):
    """A condition, the value with which it has to decide (a key of ``REPLACEMENTS``), and the text without it."""

    condition: str
    value: str
    text: str


def of_query(text: str, nullable: IsNullable, *, within: Callable[[Any], Any] = lambda tree: tree) -> list[Variant]:
    """The variants of a statement, or of the part of its tree that ``within`` gives.

    Raises postgast.PgQueryError if the text does not parse.
    """
    return [
        Variant(condition, value, changed)
        for value, replacement in REPLACEMENTS.items()
        for condition, changed in _replaced(text, replacement, nullable if value == "NULL" else None, within)
    ]


def of_condition(text: str, nullable: IsNullable) -> list[Variant]:
    """The variants of an expression that is a condition as a whole, e.g. a policy's predicate."""
    return [
        variant._replace(text=variant.text.removeprefix("SELECT WHERE "))
        for variant in of_query(f"SELECT WHERE {text}", nullable)
    ]


def of_expression(text: str, nullable: IsNullable) -> list[Variant]:
    """The variants of an expression that is a value as a whole."""
    return [
        variant._replace(text=variant.text.removeprefix("SELECT ")) for variant in of_query(f"SELECT {text}", nullable)
    ]


def _replaced(
    text: str, replacement: str, nullable: IsNullable | None, within: Callable[[Any], Any]
) -> Iterator[tuple[str, str]]:
    """Each condition, and the text with its replacement. With ``nullable``, only conditions that may be NULL."""
    seen: Counter[str] = Counter()

    def rewrite(node: Any) -> Iterator[tuple[str, Callable[[Any], None]]]:
        for place, condition in enumerate(_conditions(node)):
            # Counted also if it is left out: its number must not depend on the replacement.
            name = _name(condition)
            seen[name] += 1
            if nullable and not may_be_null(condition, nullable):
                continue

            def change(node: Any, place: int = place) -> None:
                condition = _conditions(node)[place]
                become(condition, expression(replacement.format(as_sql(condition))))

            yield name if seen[name] == 1 else f"{name} ({seen[name]})", change

    yield from edit(text, [rewrite], within=within)


def _conditions(node: Any) -> list[Any]:
    """The conditions whose parent is this node, without constants."""
    return [each for each in _boolean_children(node) if not _combines(each) and not is_a(each, "a_const")]


# The fields of a node that hold a condition.
CLAUSES = {
    "SelectStmt": ("where_clause", "having_clause"),
    "UpdateStmt": ("where_clause",),
    "DeleteStmt": ("where_clause",),
    "JoinExpr": ("quals",),
    "FuncCall": ("agg_filter",),
    "BooleanTest": ("arg",),
}


def _boolean_children(node: Any) -> list[Any]:
    kind = node.DESCRIPTOR.name
    if kind in CLAUSES:
        return [getattr(node, clause) for clause in CLAUSES[kind] if node.HasField(clause)]
    if kind == "BoolExpr":
        return list(node.args)
    if kind == "CaseExpr" and not node.HasField("arg"):
        return [arm.case_when.expr for arm in node.args]
    if kind == "CoalesceExpr" and any(is_a(each, "a_const") and each.a_const.HasField("boolval") for each in node.args):
        return list(node.args)
    return []


def _combines(node: Any) -> bool:
    """Whether a node only combines conditions."""
    if is_a(node, "coalesce_expr"):
        return bool(_boolean_children(node.coalesce_expr))
    return is_a(node, "bool_expr") or is_a(node, "boolean_test")


def _name(condition: Any) -> str:
    text = NAMED.sub(r"(SELECT \1)", " ".join(as_sql(condition).split()))
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}…"


def may_be_null(condition: Any, nullable: IsNullable) -> bool:
    """Whether a condition can be NULL: it compares a column that can be, a call's result, or a subquery's."""
    if is_a(condition, "sub_link") and condition.sub_link.sub_link_type == pb.EXISTS_SUBLINK:
        return False
    if is_a(condition, "null_test") or (is_a(condition, "a_expr") and condition.a_expr.kind in NEVER_NULL):
        return False
    return any(_may_give_null(node, nullable) for node in _outside_subqueries(condition))


def _may_give_null(node: Any, nullable: IsNullable) -> bool:
    if is_a(node, "column_ref"):
        *_, qualifier, name = ["", *(field.string.sval for field in node.column_ref.fields)]
        return nullable(qualifier, name)
    if is_a(node, "func_call"):  # PostgreSQL's own are mostly NULL only if an argument is
        return len(node.func_call.funcname) > 1 and node.func_call.funcname[0].string.sval != "pg_catalog"
    if is_a(node, "a_expr"):
        return node.a_expr.name[-1].string.sval in MAY_BE_MISSING
    if is_a(node, "sub_link"):  # without a row, the result is NULL
        return node.sub_link.sub_link_type == pb.EXPR_SUBLINK and _reads(node.sub_link)
    return False


def _outside_subqueries(condition: Any) -> Iterator[Any]:
    """The nodes of a condition, also those of a subquery that reads no table: ``(SELECT auth.uid())``."""
    for node in walk(condition, outside=("SubLink",)):
        yield node
        if is_a(node, "sub_link"):
            yield from _outside_subqueries(node.sub_link.testexpr)
            if not _reads(node.sub_link):
                yield from _outside_subqueries(node.sub_link.subselect)


def _reads(sub_link: Any) -> bool:
    select = sub_link.subselect.select_stmt
    return bool(select.from_clause) or select.HasField("larg")
