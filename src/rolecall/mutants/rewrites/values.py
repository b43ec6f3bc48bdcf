"""Values that are almost right: cut, rounded or written in another way. Each is a mistake that an author can make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rolecall.sql.tree import Change, Rewrite, as_sql, become, expression, is_a

# For the beginning of a type: descriptions of a change, each with the changed expression.
CHANGES = (
    (("text", "character"), {"in lower case": "lower({})", "cut to 50 characters": "left({}, 50)"}),
    (("timestamp",), {"cut to the day": "date_trunc('day', {})"}),
    (("numeric", "double", "real"), {"without its fraction": "trunc({})"}),
    (("jsonb",), {"without its empty fields": "jsonb_strip_nulls({})"}),
)
DESCRIPTIONS = tuple(what for _, changes in CHANGES for what in changes)


def changed(expression_: str, type_: str) -> Iterator[tuple[str, str]]:
    """The almost right values of an expression of a type, each with a description."""
    for beginnings, changes in CHANGES:
        if type_.startswith(beginnings):
            yield from ((what, form.format(expression_)) for what, form in changes.items())


def change_values(types: Mapping[str, str]) -> Rewrite:
    """Change a column or an argument, by the types of their names, where a statement returns or stores it."""

    def rewrite(node: Any) -> Iterator[tuple[str, Change]]:
        for place, value in enumerate(_stored(node)):
            name = value.column_ref.fields[-1].string.sval
            for what, text in changed(as_sql(value), types.get(name, "")):

                def change(node: Any, place: int = place, text: str = text) -> None:
                    become(_stored(node)[place], expression(text))

                yield f"{name} {what}", change

    return rewrite


def _stored(node: Any) -> list[Any]:
    """The columns and arguments that are a value of a SELECT list, of VALUES or of SET."""
    if node.DESCRIPTOR.name == "ResTarget" and node.HasField("val"):
        values = [node.val]
    elif node.DESCRIPTOR.name == "List":
        values = list(node.items)
    else:
        values = []
    return [each for each in values if is_a(each, "column_ref") and each.column_ref.fields[-1].HasField("string")]
