"""Rewrites of expressions: each is a mistake that an author can make."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from postgast import pg_query_pb2 as pb

from rolecall.sql.tree import Change, Rewrite, as_sql, become, expression, is_a


def drop_operand(node: Any) -> Iterator[tuple[str, Change]]:
    """Leave out each operand of AND and OR."""
    if not is_a(node, "bool_expr") or node.bool_expr.boolop == pb.NOT_EXPR:
        return
    word = "AND" if node.bool_expr.boolop == pb.AND_EXPR else "OR"
    for place, operand in enumerate(node.bool_expr.args):

        def change(node: Any, place: int = place) -> None:
            del node.bool_expr.args[place]
            if len(node.bool_expr.args) == 1:
                become(node, node.bool_expr.args[0])

        yield f"without {word} {as_sql(operand)}", change


def swap_and_or(node: Any) -> Iterator[tuple[str, Change]]:
    """Swap AND and OR."""
    if is_a(node, "bool_expr") and node.bool_expr.boolop != pb.NOT_EXPR:
        was_and = node.bool_expr.boolop == pb.AND_EXPR

        def change(node: Any) -> None:
            node.bool_expr.boolop = pb.OR_EXPR if was_and else pb.AND_EXPR

        yield ("AND becomes OR" if was_and else "OR becomes AND"), change


def drop_not(node: Any) -> Iterator[tuple[str, Change]]:
    """Leave out NOT."""
    if is_a(node, "bool_expr") and node.bool_expr.boolop == pb.NOT_EXPR:
        yield f"{as_sql(node)} without NOT", lambda node: become(node, node.bool_expr.args[0])


# The clauses with a condition, and the kinds of conditions that no other rewrite reverses.
CONDITION_OF = {"SelectStmt": "where_clause", "UpdateStmt": "where_clause", "DeleteStmt": "where_clause"}
CONDITION_OF |= {"JoinExpr": "quals", "ResTarget": "val"}
CONDITIONS = ("sub_link", "column_ref", "func_call", "coalesce_expr")


def negate(node: Any) -> Iterator[tuple[str, Change]]:
    """Negate a boolean expression: EXISTS, IN (SELECT …), a column or a call in a condition."""
    for place, condition in enumerate(_conditions(node)):

        def change(node: Any, place: int = place) -> None:
            condition = _conditions(node)[place]
            become(condition, expression(f"NOT ({as_sql(condition)})"))

        yield f"{as_sql(condition)} is negated", change


def _conditions(node: Any) -> list[Any]:
    kind = node.DESCRIPTOR.name
    if is_a(node, "bool_expr") and node.bool_expr.boolop != pb.NOT_EXPR:
        candidates = list(node.bool_expr.args)
    else:
        candidates = (
            [getattr(node, CONDITION_OF[kind])] if kind in CONDITION_OF and node.HasField(CONDITION_OF[kind]) else []
        )
    return [each for each in candidates if _is_condition(each, is_boolean=kind != "ResTarget")]


def _is_condition(node: Any, *, is_boolean: bool) -> bool:
    if is_a(node, "sub_link"):
        return node.sub_link.sub_link_type in (pb.EXISTS_SUBLINK, pb.ANY_SUBLINK)
    return is_boolean and node.WhichOneof("node") in CONDITIONS


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
# The operators that are written as words, with their kind in the parser's tree.
WORDS = {
    "~~": (pb.AEXPR_LIKE, "LIKE"),
    "!~~": (pb.AEXPR_LIKE, "NOT LIKE"),
    "~~*": (pb.AEXPR_ILIKE, "ILIKE"),
    "!~~*": (pb.AEXPR_ILIKE, "NOT ILIKE"),
}


def change_operator(node: Any) -> Iterator[tuple[str, Change]]:
    """Change a comparison or an arithmetic operator; negate a pattern match or ignore case."""
    if is_a(node, "a_expr") and len(node.a_expr.name) == 1 and node.a_expr.kind not in DISTINCT:
        operator = node.a_expr.name[0].string.sval
        in_words = node.a_expr.kind in (pb.AEXPR_LIKE, pb.AEXPR_ILIKE)
        for other in OTHER_OPERATORS.get(operator, ()):

            def change(node: Any, other: str = other) -> None:
                node.a_expr.name[0].string.sval = other
                if in_words:
                    node.a_expr.kind, _ = WORDS[other]

            old, new = (WORDS[each][1] if in_words else each for each in (operator, other))
            yield f"{as_sql(node)}: {old} becomes {new}", change


DISTINCT = {  # with the comparison that does not handle NULL
    pb.AEXPR_DISTINCT: (pb.AEXPR_NOT_DISTINCT, "<>"),
    pb.AEXPR_NOT_DISTINCT: (pb.AEXPR_DISTINCT, "="),
}


def change_distinct(node: Any) -> Iterator[tuple[str, Change]]:
    """Reverse IS DISTINCT FROM, or replace it with the comparison that is NULL if a side is."""
    if not is_a(node, "a_expr") or node.a_expr.kind not in DISTINCT:
        return
    other, plain = DISTINCT[node.a_expr.kind]

    def reverse(node: Any) -> None:
        node.a_expr.kind = other

    def ignore_null(node: Any) -> None:
        node.a_expr.kind = pb.AEXPR_OP
        node.a_expr.name[0].string.sval = plain

    yield f"{as_sql(node)} is turned round", reverse
    yield f"{as_sql(node)} becomes {plain}", ignore_null


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
    """Reverse BETWEEN; leave out each bound; make each bound exclusive."""
    if not is_a(node, "a_expr") or node.a_expr.kind not in BETWEEN:
        return
    kind, name = BETWEEN[node.a_expr.kind]

    def reverse(node: Any) -> None:
        node.a_expr.kind, node.a_expr.name[0].string.sval = kind, name

    yield f"{as_sql(node)} is turned round", reverse
    if node.a_expr.kind == pb.AEXPR_BETWEEN:
        for what, bounds in BOUNDS.items():

            def change(node: Any, bounds: str = bounds) -> None:
                sides = (node.a_expr.lexpr, *node.a_expr.rexpr.list.items)
                become(node, expression(bounds.format(*(f"({as_sql(side)})" for side in sides))))

            yield f"{as_sql(node)} {what}", change


def change_extreme(node: Any) -> Iterator[tuple[str, Change]]:
    """Swap LEAST and GREATEST."""
    if is_a(node, "min_max_expr"):
        was_least = node.min_max_expr.op == pb.IS_LEAST

        def change(node: Any) -> None:
            node.min_max_expr.op = pb.IS_GREATEST if was_least else pb.IS_LEAST

        yield ("LEAST becomes GREATEST" if was_least else "GREATEST becomes LEAST"), change


def change_null_test(node: Any) -> Iterator[tuple[str, Change]]:
    """Swap IS NULL and IS NOT NULL."""
    if is_a(node, "null_test"):
        was_null = node.null_test.nulltesttype == pb.IS_NULL

        def change(node: Any) -> None:
            node.null_test.nulltesttype = pb.IS_NOT_NULL if was_null else pb.IS_NULL

        yield f"{as_sql(node)} is turned round", change


MAX_INTEGER = 2**31 - 1  # in the parser's trees


def change_constant(node: Any) -> Iterator[tuple[str, Change]]:
    """Change a number by one in its last digit, reverse a boolean, change a text."""
    if not is_a(node, "a_const") or node.a_const.isnull:
        return
    kind = node.a_const.WhichOneof("val")
    for other in _others(kind, getattr(getattr(node.a_const, kind), kind)):

        def change(node: Any, other: object = other) -> None:
            setattr(getattr(node.a_const, kind), kind, other)

        changed = type(node)()
        changed.CopyFrom(node)
        change(changed)
        yield f"{as_sql(node)} becomes {as_sql(changed)}", change


def _others(kind: str, value: Any) -> list[Any]:
    if kind == "ival":
        return [number for number in (value + 1, value - 1) if abs(number) <= MAX_INTEGER]
    if kind == "fval":
        return [_changed_number(value, step) for step in (1, -1)]
    if kind == "boolval":
        return [not value]
    return [_changed_text(value)] if kind == "sval" else []


def _changed_number(number: str, step: int) -> str:
    """A decimal number, changed by ``step`` in its last digit."""
    value = Decimal(number)
    exponent = value.as_tuple().exponent
    return f"{value + step * Decimal(1).scaleb(min(int(exponent), 0)):f}"


def _changed_text(text: str) -> str:
    """Another text of the same kind: with its first number plus one, or with an x after its last word."""
    if number := re.search(r"-?[0-9]+", text):
        higher = f"{int(number[0]) + 1:0{len(number[0])}}"
        return text[: number.start()] + higher + text[number.end() :]
    if re.search(r"\w", text):
        return re.sub(r"(\w)(\W*)$", r"\1x\2", text)
    return {"{}": "[]", "[]": "{}"}.get(text, f"{text}x")


def swap_column(types: Mapping[str, Mapping[str, str]]) -> Rewrite:
    """Replace a column with each other column of its table that has the same type.

    ``types`` has the types of the columns by name, for each qualifier of a table; ``""`` is for columns without one.
    """

    def rewrite(node: Any) -> Iterator[tuple[str, Change]]:
        if not is_a(node, "column_ref") or not node.column_ref.fields[-1].HasField("string"):
            return
        *_, table, name = ["", *(field.string.sval for field in node.column_ref.fields)]
        columns = types.get(table, {})
        for other, type_ in columns.items():
            if other != name and name in columns and type_ == columns[name]:

                def change(node: Any, other: str = other) -> None:
                    node.column_ref.fields[-1].string.sval = other

                yield f"{as_sql(node)} becomes {other}", change

    return rewrite


def replace_call(function: str, other: str) -> Rewrite:
    """Replace a function call with another expression, e.g. ``auth.uid()`` with another claim."""

    def rewrite(node: Any) -> Iterator[tuple[str, Change]]:
        if is_a(node, "func_call") and ".".join(part.string.sval for part in node.func_call.funcname) == function:

            def change(node: Any) -> None:
                become(node, expression(other))

            yield f"{function}() becomes {other}", change

    return rewrite


def drop_default(node: Any) -> Iterator[tuple[str, Change]]:
    """Leave out the last argument of COALESCE."""
    if is_a(node, "coalesce_expr") and len(node.coalesce_expr.args) > 1:

        def change(node: Any) -> None:
            del node.coalesce_expr.args[-1]

        yield f"{as_sql(node)} without its default", change


PREDICATE: tuple[Rewrite, ...] = (
    *(drop_operand, swap_and_or, drop_not, negate, change_null_test),
    *(change_operator, change_distinct, change_between, change_extreme, change_constant),
)
