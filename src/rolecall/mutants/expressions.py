"""Editing SQL as a syntax tree: each rewrite changes one thing of one node, and the tree is written out again.

The trees are PostgreSQL's own (libpg_query, through postgast): what comes out is SQL that parses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import postgast
from google.protobuf.message import Message
from postgast import pg_query_pb2 as pb

Change = Callable[[Any], None]
Rewrite = Callable[[Any], Iterator[tuple[str, Change]]]


class Edit(NamedTuple):
    """A rewrite carried out: what was done, and the whole text afterwards."""

    what: str
    text: str


def edit(text: str, rewrites: Iterable[Rewrite]) -> Iterator[Edit]:
    """Every single change that the rewrites can make to one or more statements.

    Raises postgast's error for text that does not parse. A change that gives the same text is left out.
    """
    tree = postgast.parse(text)
    unchanged = postgast.deparse(tree)
    for place, node in enumerate(_walk(tree)):
        for rewrite in rewrites:
            for what, change in rewrite(node):
                copy = pb.ParseResult()
                copy.CopyFrom(tree)
                change(next(other for at, other in enumerate(_walk(copy)) if at == place))
                changed = postgast.deparse(copy)
                if changed != unchanged:
                    yield Edit(what, changed)


def edit_expression(text: str, rewrites: Iterable[Rewrite]) -> Iterator[Edit]:
    """The same for an expression, e.g. a policy's predicate."""
    for what, changed in edit(f"SELECT {text}", rewrites):
        yield Edit(what, changed.removeprefix("SELECT "))


def may_be_null(text: str) -> bool:
    """Whether an expression can be NULL, as far as its outermost node tells."""
    node = postgast.parse(f"SELECT {text}").stmts[0].stmt.select_stmt.target_list[0].res_target.val
    if _is(node, "sub_link"):
        return bool(node.sub_link.sub_link_type != pb.EXISTS_SUBLINK)
    return not (_is(node, "null_test") or _is(node, "a_const"))


def _walk(message: Message) -> Iterator[Message]:
    """A message and all below it, parents first, always in the same order."""
    yield message
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for child in [value] if isinstance(value, Message) else value:
                yield from _walk(child)


def _become(node: Any, other: Any) -> None:
    """Put a node below (or of another tree) in a node's own place."""
    kept = type(node)()
    kept.CopyFrom(other)
    node.CopyFrom(kept)


def _shown(node: Any) -> str:
    """A node as SQL, for the report."""
    tree = postgast.parse("SELECT 1")
    tree.stmts[0].stmt.select_stmt.target_list[0].res_target.val.CopyFrom(node)
    return str(postgast.deparse(tree)).removeprefix("SELECT ")


# ------------------------------------------------------------------ predicates


def drop_operand(node: Any) -> Iterator[tuple[str, Change]]:
    """Each conjunct and each disjunct left out."""
    if not _is(node, "bool_expr") or node.bool_expr.boolop == pb.NOT_EXPR:
        return
    word = "AND" if node.bool_expr.boolop == pb.AND_EXPR else "OR"
    for place, operand in enumerate(node.bool_expr.args):

        def change(node: Any, place: int = place) -> None:
            del node.bool_expr.args[place]
            if len(node.bool_expr.args) == 1:
                _become(node, node.bool_expr.args[0])

        yield f"without {word} {_shown(operand)}", change


def swap_and_or(node: Any) -> Iterator[tuple[str, Change]]:
    """AND for OR, and the other way round."""
    if _is(node, "bool_expr") and node.bool_expr.boolop != pb.NOT_EXPR:
        was_and = node.bool_expr.boolop == pb.AND_EXPR

        def change(node: Any) -> None:
            node.bool_expr.boolop = pb.OR_EXPR if was_and else pb.AND_EXPR

        yield ("AND becomes OR" if was_and else "OR becomes AND"), change


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
    "~": ("!~",),
}


def change_operator(node: Any) -> Iterator[tuple[str, Change]]:
    """Another comparison, another sign."""
    if _is(node, "a_expr") and len(node.a_expr.name) == 1:
        operator = node.a_expr.name[0].string.sval
        for other in OTHER_OPERATORS.get(operator, ()):

            def change(node: Any, other: str = other) -> None:
                node.a_expr.name[0].string.sval = other

            yield f"{_shown(node)}: {operator} becomes {other}", change


def change_null_test(node: Any) -> Iterator[tuple[str, Change]]:
    """IS NULL for IS NOT NULL, and the other way round."""
    if _is(node, "null_test"):
        was_null = node.null_test.nulltesttype == pb.IS_NULL

        def change(node: Any) -> None:
            node.null_test.nulltesttype = pb.IS_NOT_NULL if was_null else pb.IS_NULL

        yield f"{_shown(node)} is turned round", change


LARGEST = 2**31 - 1  # that the parser's trees hold as an integer


def change_constant(node: Any) -> Iterator[tuple[str, Change]]:
    """A number one higher and one lower, a truth turned round, a text another one."""
    if not _is(node, "a_const") or node.a_const.isnull:
        return
    kind = node.a_const.WhichOneof("val")
    if kind == "ival":
        for step in (1, -1):
            if abs(node.a_const.ival.ival + step) > LARGEST:
                continue

            def change_number(node: Any, step: int = step) -> None:
                node.a_const.ival.ival += step

            yield f"{node.a_const.ival.ival} becomes {node.a_const.ival.ival + step}", change_number
    elif kind == "boolval":

        def change_truth(node: Any) -> None:
            node.a_const.boolval.boolval = not node.a_const.boolval.boolval

        yield f"{_shown(node)} is turned round", change_truth
    elif kind == "sval":

        def change_text(node: Any) -> None:
            node.a_const.sval.sval += "x"

        yield f"{_shown(node)} becomes another text", change_text


def swap_column(types: Mapping[str, str]) -> Rewrite:
    """A column for each other one of its type; ``types`` gives the type of every column by name."""

    def rewrite(node: Any) -> Iterator[tuple[str, Change]]:
        if not _is(node, "column_ref") or not node.column_ref.fields[-1].HasField("string"):
            return
        name = node.column_ref.fields[-1].string.sval
        for other, its_type in types.items():
            if other != name and name in types and its_type == types[name]:

                def change(node: Any, other: str = other) -> None:
                    node.column_ref.fields[-1].string.sval = other

                yield f"{name} becomes {other}", change

    return rewrite


def replace_call(function: str, other: str) -> Rewrite:
    """A function's call for another expression, e.g. ``auth.uid()`` for another claim."""

    def rewrite(node: Any) -> Iterator[tuple[str, Change]]:
        if _is(node, "func_call") and ".".join(part.string.sval for part in node.func_call.funcname) == function:

            def change(node: Any) -> None:
                tree = postgast.parse(f"SELECT {other}")
                _become(node, tree.stmts[0].stmt.select_stmt.target_list[0].res_target.val)

            yield f"{function}() becomes {other}", change

    return rewrite


# ------------------------------------------------------------------ queries


def drop_where(node: Any) -> Iterator[tuple[str, Change]]:
    """A whole WHERE left out."""
    if node.DESCRIPTOR.name in ("SelectStmt", "UpdateStmt", "DeleteStmt") and node.HasField("where_clause"):
        yield f"without WHERE {_shown(node.where_clause)}", lambda node: node.ClearField("where_clause")


def drop_arm(node: Any) -> Iterator[tuple[str, Change]]:
    """Each arm of a UNION left out."""
    if node.DESCRIPTOR.name == "SelectStmt" and node.op == pb.SETOP_UNION:
        for kept, left_out in (("larg", "second"), ("rarg", "first")):

            def change(node: Any, kept: str = kept) -> None:
                _become(node, getattr(node, kept))

            yield f"the UNION without its {left_out} arm", change


def change_join(node: Any) -> Iterator[tuple[str, Change]]:
    """LEFT JOIN for JOIN, and the other way round."""
    if node.DESCRIPTOR.name == "JoinExpr" and node.jointype in (pb.JOIN_INNER, pb.JOIN_LEFT) and node.HasField("quals"):
        was_left = node.jointype == pb.JOIN_LEFT

        def change(node: Any) -> None:
            node.jointype = pb.JOIN_INNER if was_left else pb.JOIN_LEFT

        yield ("LEFT JOIN becomes JOIN" if was_left else "JOIN becomes LEFT JOIN"), change


def change_order(node: Any) -> Iterator[tuple[str, Change]]:
    """Each direction of an ORDER BY turned round, and each key left out."""
    if node.DESCRIPTOR.name == "SortBy":
        was_descending = node.sortby_dir == pb.SORTBY_DESC

        def change(node: Any) -> None:
            node.sortby_dir = pb.SORTBY_ASC if was_descending else pb.SORTBY_DESC

        yield f"ORDER BY {_shown(node.node)} is turned round", change
    if node.DESCRIPTOR.name == "SelectStmt":
        for place, key in enumerate(node.sort_clause):

            def drop(node: Any, place: int = place) -> None:
                del node.sort_clause[place]

            yield f"without ORDER BY {_shown(key.sort_by.node)}", drop


def drop_limit(node: Any) -> Iterator[tuple[str, Change]]:
    """LIMIT and OFFSET left out."""
    if node.DESCRIPTOR.name == "SelectStmt":
        for clause in ("limit_count", "limit_offset"):
            if node.HasField(clause):
                word = clause.removeprefix("limit_").replace("count", "limit").upper()

                def change(node: Any, clause: str = clause) -> None:
                    node.ClearField(clause)

                yield f"without {word}", change


def drop_partition(node: Any) -> Iterator[tuple[str, Change]]:
    """A window's PARTITION BY left out."""
    if node.DESCRIPTOR.name == "WindowDef" and node.partition_clause:
        yield "without PARTITION BY", lambda node: node.ClearField("partition_clause")


def drop_filter(node: Any) -> Iterator[tuple[str, Change]]:
    """An aggregate's FILTER left out."""
    if node.DESCRIPTOR.name == "FuncCall" and node.HasField("agg_filter"):
        yield f"without FILTER {_shown(node.agg_filter)}", lambda node: node.ClearField("agg_filter")


def drop_default(node: Any) -> Iterator[tuple[str, Change]]:
    """A COALESCE without its last argument."""
    if _is(node, "coalesce_expr") and len(node.coalesce_expr.args) > 1:

        def change(node: Any) -> None:
            del node.coalesce_expr.args[-1]

        yield f"{_shown(node)} without its default", change


# ------------------------------------------------------------------ triggers

EVENTS = {4: "INSERT", 8: "DELETE", 16: "UPDATE"}  # the bits of pg_trigger's tgtype
BEFORE, AFTER = 2, 0


def change_event(node: Any) -> Iterator[tuple[str, Change]]:
    """A trigger for another event, or AFTER instead of BEFORE."""
    if node.DESCRIPTOR.name != "CreateTrigStmt":
        return
    for event, word in EVENTS.items():
        if event != node.events:

            def change(node: Any, event: int = event) -> None:
                node.events = event
                node.ClearField("columns")

            yield f"on {word}", change
    if node.timing == BEFORE:

        def later(node: Any) -> None:
            node.timing = AFTER

        yield "AFTER instead of BEFORE", later


def drop_condition(node: Any) -> Iterator[tuple[str, Change]]:
    """A trigger without its WHEN."""
    if node.DESCRIPTOR.name == "CreateTrigStmt" and node.HasField("when_clause"):
        yield "without WHEN", lambda node: node.ClearField("when_clause")


def _is(node: Any, kind: str) -> bool:
    """Whether a node is the wrapper around a node of this kind."""
    return node.DESCRIPTOR.name == "Node" and bool(node.WhichOneof("node") == kind)


PREDICATE: tuple[Rewrite, ...] = (drop_operand, swap_and_or, change_operator, change_null_test, change_constant)
QUERY: tuple[Rewrite, ...] = (
    *PREDICATE,
    *(drop_where, drop_arm, change_join, change_order, drop_limit, drop_partition, drop_filter, drop_default),
)
