"""What can be wrong with an expression: a rewrite for each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from postgast import pg_query_pb2 as pb

from rolecall.sql.tree import Change, Rewrite, become, expression, is_a, shown


def drop_operand(node: Any) -> Iterator[tuple[str, Change]]:
    """Each conjunct and each disjunct left out."""
    if not is_a(node, "bool_expr") or node.bool_expr.boolop == pb.NOT_EXPR:
        return
    word = "AND" if node.bool_expr.boolop == pb.AND_EXPR else "OR"
    for place, operand in enumerate(node.bool_expr.args):

        def change(node: Any, place: int = place) -> None:
            del node.bool_expr.args[place]
            if len(node.bool_expr.args) == 1:
                become(node, node.bool_expr.args[0])

        yield f"without {word} {shown(operand)}", change


def swap_and_or(node: Any) -> Iterator[tuple[str, Change]]:
    """AND for OR, and the other way round."""
    if is_a(node, "bool_expr") and node.bool_expr.boolop != pb.NOT_EXPR:
        was_and = node.bool_expr.boolop == pb.AND_EXPR

        def change(node: Any) -> None:
            node.bool_expr.boolop = pb.OR_EXPR if was_and else pb.AND_EXPR

        yield ("AND becomes OR" if was_and else "OR becomes AND"), change


def drop_not(node: Any) -> Iterator[tuple[str, Change]]:
    """NOT left out."""
    if is_a(node, "bool_expr") and node.bool_expr.boolop == pb.NOT_EXPR:
        yield f"{shown(node)} without NOT", lambda node: become(node, node.bool_expr.args[0])


# Where a truth stands, and what is one that no other rewrite turns round.
TRUTH_OF = {"SelectStmt": "where_clause", "UpdateStmt": "where_clause", "DeleteStmt": "where_clause"}
TRUTH_OF |= {"JoinExpr": "quals", "ResTarget": "val"}
TRUTHS = ("sub_link", "column_ref", "func_call", "coalesce_expr")


def negate(node: Any) -> Iterator[tuple[str, Change]]:
    """What is a truth by itself, negated: EXISTS, IN (SELECT …), a column or a call in a condition."""
    for place, truth in enumerate(_truths(node)):

        def change(node: Any, place: int = place) -> None:
            truth = _truths(node)[place]
            become(truth, expression(f"NOT ({shown(truth)})"))

        yield f"{shown(truth)} is negated", change


def _truths(node: Any) -> list[Any]:
    kind = node.DESCRIPTOR.name
    if is_a(node, "bool_expr") and node.bool_expr.boolop != pb.NOT_EXPR:
        found = list(node.bool_expr.args)
    else:
        found = [getattr(node, TRUTH_OF[kind])] if kind in TRUTH_OF and node.HasField(TRUTH_OF[kind]) else []
    return [each for each in found if _is_truth(each, certainly=kind != "ResTarget")]


def _is_truth(node: Any, *, certainly: bool) -> bool:
    if is_a(node, "sub_link"):
        return node.sub_link.sub_link_type in (pb.EXISTS_SUBLINK, pb.ANY_SUBLINK)
    return certainly and node.WhichOneof("node") in TRUTHS


OTHER_OPERATORS: Mapping[str, tuple[str, ...]] = {
    "=": ("<>",),
    "<>": ("=",),
    "<": ("<=", ">"),
    "<=": ("<", ">="),
    ">": (">=", "<"),
    ">=": (">", "<="),
    "+": ("-",),
    "-": ("+",),
    "*": ("/",),
    "/": ("*",),
    "~": ("!~", "~*"),
    "!~": ("~",),
    "~*": ("!~*", "~"),
    "!~*": ("~*",),
    "~~": ("!~~", "~~*"),
    "!~~": ("~~",),
    "~~*": ("!~~*", "~~"),
    "!~~*": ("~~*",),
}
# What the parser calls an operator that is written as words.
WORDS = {
    "~~": (pb.AEXPR_LIKE, "LIKE"),
    "!~~": (pb.AEXPR_LIKE, "NOT LIKE"),
    "~~*": (pb.AEXPR_ILIKE, "ILIKE"),
    "!~~*": (pb.AEXPR_ILIKE, "NOT ILIKE"),
}


def change_operator(node: Any) -> Iterator[tuple[str, Change]]:
    """Another comparison, another sign; a pattern not matched, or in any case."""
    if is_a(node, "a_expr") and len(node.a_expr.name) == 1 and node.a_expr.kind not in DISTINCT:
        operator = node.a_expr.name[0].string.sval
        in_words = node.a_expr.kind in (pb.AEXPR_LIKE, pb.AEXPR_ILIKE)
        for other in OTHER_OPERATORS.get(operator, ()):

            def change(node: Any, other: str = other) -> None:
                node.a_expr.name[0].string.sval = other
                if in_words:
                    node.a_expr.kind, _ = WORDS[other]

            was, becomes = (WORDS[each][1] if in_words else each for each in (operator, other))
            yield f"{shown(node)}: {was} becomes {becomes}", change


DISTINCT = {  # and what forgets that there are NULLs
    pb.AEXPR_DISTINCT: (pb.AEXPR_NOT_DISTINCT, "<>"),
    pb.AEXPR_NOT_DISTINCT: (pb.AEXPR_DISTINCT, "="),
}


def change_distinct(node: Any) -> Iterator[tuple[str, Change]]:
    """IS DISTINCT FROM turned round, or the comparison that is NULL where a side is."""
    if not is_a(node, "a_expr") or node.a_expr.kind not in DISTINCT:
        return
    other, plain = DISTINCT[node.a_expr.kind]

    def turn(node: Any) -> None:
        node.a_expr.kind = other

    def forget(node: Any) -> None:
        node.a_expr.kind = pb.AEXPR_OP
        node.a_expr.name[0].string.sval = plain

    yield f"{shown(node)} is turned round", turn
    yield f"{shown(node)} becomes {plain}", forget


BETWEEN = {
    pb.AEXPR_BETWEEN: (pb.AEXPR_NOT_BETWEEN, "NOT BETWEEN"),
    pb.AEXPR_NOT_BETWEEN: (pb.AEXPR_BETWEEN, "BETWEEN"),
    pb.AEXPR_BETWEEN_SYM: (pb.AEXPR_NOT_BETWEEN_SYM, "NOT BETWEEN SYMMETRIC"),
    pb.AEXPR_NOT_BETWEEN_SYM: (pb.AEXPR_BETWEEN_SYM, "BETWEEN SYMMETRIC"),
}
BOUNDS = {
    "without its lower bound": "{0} <= {2}",
    "without its upper bound": "{0} >= {1}",
    "without what equals its lower bound": "{0} > {1} AND {0} <= {2}",
    "without what equals its upper bound": "{0} >= {1} AND {0} < {2}",
}


def change_between(node: Any) -> Iterator[tuple[str, Change]]:
    """BETWEEN turned round; each bound left out, and exclusive."""
    if not is_a(node, "a_expr") or node.a_expr.kind not in BETWEEN:
        return
    kind, name = BETWEEN[node.a_expr.kind]

    def turn(node: Any) -> None:
        node.a_expr.kind, node.a_expr.name[0].string.sval = kind, name

    yield f"{shown(node)} is turned round", turn
    if node.a_expr.kind == pb.AEXPR_BETWEEN:
        for what, bounds in BOUNDS.items():

            def change(node: Any, bounds: str = bounds) -> None:
                sides = (node.a_expr.lexpr, *node.a_expr.rexpr.list.items)
                become(node, expression(bounds.format(*(f"({shown(side)})" for side in sides))))

            yield f"{shown(node)} {what}", change


def change_extreme(node: Any) -> Iterator[tuple[str, Change]]:
    """LEAST for GREATEST, and the other way round."""
    if is_a(node, "min_max_expr"):
        was_least = node.min_max_expr.op == pb.IS_LEAST

        def change(node: Any) -> None:
            node.min_max_expr.op = pb.IS_GREATEST if was_least else pb.IS_LEAST

        yield ("LEAST becomes GREATEST" if was_least else "GREATEST becomes LEAST"), change


def change_null_test(node: Any) -> Iterator[tuple[str, Change]]:
    """IS NULL for IS NOT NULL, and the other way round."""
    if is_a(node, "null_test"):
        was_null = node.null_test.nulltesttype == pb.IS_NULL

        def change(node: Any) -> None:
            node.null_test.nulltesttype = pb.IS_NOT_NULL if was_null else pb.IS_NULL

        yield f"{shown(node)} is turned round", change


LARGEST = 2**31 - 1  # that the parser's trees hold as an integer


def change_constant(node: Any) -> Iterator[tuple[str, Change]]:
    """A number one higher and one lower in its last place, a truth turned round, a text another one."""
    if not is_a(node, "a_const") or node.a_const.isnull:
        return
    kind = node.a_const.WhichOneof("val")
    for other in _others(kind, getattr(getattr(node.a_const, kind), kind)):

        def change(node: Any, other: object = other) -> None:
            setattr(getattr(node.a_const, kind), kind, other)

        changed = type(node)()
        changed.CopyFrom(node)
        change(changed)
        yield f"{shown(node)} becomes {shown(changed)}", change


def _others(kind: str, value: Any) -> list[Any]:
    if kind == "ival":
        return [number for number in (value + 1, value - 1) if abs(number) <= LARGEST]
    if kind == "fval":
        return [_beside(value, step) for step in (1, -1)]
    if kind == "boolval":
        return [not value]
    return [_another(value)] if kind == "sval" else []


def _beside(number: str, step: int) -> str:
    """A decimal number one step of its last place up or down."""
    value = Decimal(number)
    exponent = value.as_tuple().exponent
    return f"{value + step * Decimal(1).scaleb(min(int(exponent), 0)):f}"


def _another(text: str) -> str:
    """Another text of the same kind: its first number one higher, or an x behind its last word."""
    if number := re.search(r"-?[0-9]+", text):
        higher = f"{int(number[0]) + 1:0{len(number[0])}}"
        return text[: number.start()] + higher + text[number.end() :]
    if re.search(r"\w", text):
        return re.sub(r"(\w)(\W*)$", r"\1x\2", text)
    return {"{}": "[]", "[]": "{}"}.get(text, f"{text}x")


def swap_column(types: Mapping[str, Mapping[str, str]]) -> Rewrite:
    """A column for each other one of its type in its table.

    ``types`` gives the type of every column by name, by the name that stands before the columns of a
    table: ``""`` where none does.
    """

    def rewrite(node: Any) -> Iterator[tuple[str, Change]]:
        if not is_a(node, "column_ref") or not node.column_ref.fields[-1].HasField("string"):
            return
        *_, table, name = ["", *(field.string.sval for field in node.column_ref.fields)]
        its_columns = types.get(table, {})
        for other, its_type in its_columns.items():
            if other != name and name in its_columns and its_type == its_columns[name]:

                def change(node: Any, other: str = other) -> None:
                    node.column_ref.fields[-1].string.sval = other

                yield f"{shown(node)} becomes {other}", change

    return rewrite


def replace_call(function: str, other: str) -> Rewrite:
    """A function's call for another expression, e.g. ``auth.uid()`` for another claim."""

    def rewrite(node: Any) -> Iterator[tuple[str, Change]]:
        if is_a(node, "func_call") and ".".join(part.string.sval for part in node.func_call.funcname) == function:

            def change(node: Any) -> None:
                become(node, expression(other))

            yield f"{function}() becomes {other}", change

    return rewrite


def drop_default(node: Any) -> Iterator[tuple[str, Change]]:
    """A COALESCE without its last argument."""
    if is_a(node, "coalesce_expr") and len(node.coalesce_expr.args) > 1:

        def change(node: Any) -> None:
            del node.coalesce_expr.args[-1]

        yield f"{shown(node)} without its default", change


PREDICATE: tuple[Rewrite, ...] = (
    *(drop_operand, swap_and_or, drop_not, negate, change_null_test),
    *(change_operator, change_distinct, change_between, change_extreme, change_constant),
)
