"""Edit SQL as a syntax tree: each rewrite changes one thing in one node, and the tree is written as SQL again.

The trees are PostgreSQL's own (libpg_query, through postgast), so the result is SQL that parses.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, NamedTuple

import postgast
from google.protobuf.message import Message
from postgast import pg_query_pb2 as pb

Change = Callable[[Any], None]
Rewrite = Callable[[Any], Iterator[tuple[str, Change]]]


class Edit(NamedTuple):
    """One change: its description, and the whole text after it."""

    what: str
    text: str


def edit(text: str, rewrites: Iterable[Rewrite], *, within: Callable[[Any], Any] = lambda tree: tree) -> Iterator[Edit]:
    """Each change that the rewrites can make to a text of one or more statements, or to the part that ``within`` gives.

    A change that results in the same text is left out. Raises postgast.PgQueryError if the text does not parse.
    """
    tree = postgast.parse(text)
    unchanged = postgast.deparse(tree)
    for position, node in enumerate(walk(within(tree))):
        for rewrite in rewrites:
            for what, change in rewrite(node):
                copy = pb.ParseResult()
                copy.CopyFrom(tree)
                change(next(other for at, other in enumerate(walk(within(copy))) if at == position))
                changed = postgast.deparse(copy)
                if changed != unchanged:
                    yield Edit(what, changed)


def edit_expression(text: str, rewrites: Iterable[Rewrite]) -> Iterator[Edit]:
    """The same for an expression, e.g. a policy's predicate."""
    for what, changed in edit(f"SELECT {text}", rewrites):
        yield Edit(what, changed.removeprefix("SELECT "))


def may_be_null(text: str) -> bool:
    """Whether an expression can be NULL, judged by its outermost node."""
    node = expression(text)
    if is_a(node, "sub_link"):
        return bool(node.sub_link.sub_link_type != pb.EXISTS_SUBLINK)
    return not (is_a(node, "null_test") or is_a(node, "a_const"))


def aliases(text: str) -> dict[str, str]:
    """The tables that the queries in an expression read: ``schema.name`` by alias, or by name without an alias."""
    ranges: list[Any] = [node for node in walk(postgast.parse(f"SELECT {text}")) if node.DESCRIPTOR.name == "RangeVar"]
    return {_alias(each): f"{each.schemaname}.{each.relname}" for each in ranges}


def _alias(range_var: Any) -> str:
    return str(range_var.alias.aliasname or range_var.relname)


def expression(text: str) -> Any:
    """The node of an expression."""
    return postgast.parse(f"SELECT {text}").stmts[0].stmt.select_stmt.target_list[0].res_target.val


def walk(message: Any, *, outside: Collection[str] = ()) -> Iterator[Any]:
    """A message and all messages below it, parents first, in a fixed order; without those of ``outside``."""
    if message.DESCRIPTOR.name in outside:
        return
    yield message
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for child in [value] if isinstance(value, Message) else value:
                yield from walk(child, outside=outside)


def become(node: Any, other: Any) -> None:
    """Replace a node by another one, which may be below it or in another tree."""
    copy = type(node)()
    copy.CopyFrom(other)
    node.CopyFrom(copy)


def as_sql(node: Any) -> str:
    """A node as SQL."""
    tree = postgast.parse("SELECT 1")
    tree.stmts[0].stmt.select_stmt.target_list[0].res_target.val.CopyFrom(node)
    return str(postgast.deparse(tree)).removeprefix("SELECT ")


def is_a(node: Any, kind: str) -> bool:
    """Whether a node wraps a node of this kind."""
    return node.DESCRIPTOR.name == "Node" and bool(node.WhichOneof("node") == kind)


def dotted(parts: Iterable[Any]) -> str:
    """The strings of a name, with a dot between them: ``schema.name``."""
    return ".".join(part.string.sval for part in parts)
