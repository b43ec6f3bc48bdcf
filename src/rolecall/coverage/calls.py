"""Which of the functions of one name a statement calls, as far as its text says it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import postgast

from rolecall.catalog.overloads import Overload
from rolecall.catalog.signatures import type_of
from rolecall.coverage.columns import PARAMETER
from rolecall.sql.tree import dotted, walk

NUMBERS = frozenset({"int2", "int4", "int8", "numeric", "float4", "float8"})
# The types of a constant. One in quotes may be of any type, but is a text if a function takes a text.
CONSTANTS = {
    "ival": NUMBERS,
    "fval": NUMBERS,
    "boolval": frozenset({"bool"}),
    "sval": frozenset({"text", "varchar", "bpchar", "name"}),
}


def called(text: str, overloads: Sequence[Overload]) -> set[str]:
    """The full names of the functions that a statement may call, of these, which have one name.

    The number and the names of the arguments tell them apart, and the types of casts and constants. If the text has no
    such call that can be read, it is all of them.
    """
    calls = [call for call in _calls(text) if dotted(call.funcname) == overloads[0].name]
    return {each.full_name for call in calls for each in _meant(call, overloads)} or {
        each.full_name for each in overloads
    }


def _calls(text: str) -> list[Any]:
    try:
        tree = postgast.parse(PARAMETER.sub("NULL", text))
    except postgast.PgQueryError:
        return []
    return [node for node in walk(tree) if node.DESCRIPTOR.name == "FuncCall"]


def _meant(call: Any, overloads: Iterable[Overload]) -> list[Overload]:
    """Those that a call may mean."""
    meant = [(each, types) for each in overloads if (types := _types(call, each)) is not None]
    for place, argument in enumerate(call.args):
        known = _known_types(argument)
        meant = [(each, types) for each, types in meant if types[place] in known] or meant
    return [each for each, _ in meant]


def _types(call: Any, overload: Overload) -> list[str] | None:
    """The type of the parameter for each argument of a call; None if the function does not take these arguments."""
    types, names = list(overload.types), list(overload.parameters)
    if overload.variadic and not call.func_variadic and len(call.args) >= len(types):
        more = len(call.args) - len(types)
        types[-1:] = [types[-1].removesuffix("[]")] * (more + 1)
        names += [""] * more
    given = [each.named_arg_expr.name or place for place, each in enumerate(call.args)]
    places = [names.index(each) if each in names else each for each in given]
    optional = overload.defaults + (overload.variadic and not call.func_variadic)
    needed = range(len(overload.types) - optional)
    if not {*needed} <= {*places} or not all(isinstance(each, int) and each < len(types) for each in places):
        return None
    return [types[int(place)] for place in places]


def _known_types(argument: Any) -> frozenset[str]:
    """The types of an argument with a cast, and of a constant; empty for others."""
    node = argument.named_arg_expr.arg if argument.HasField("named_arg_expr") else argument
    if node.HasField("type_cast"):
        return frozenset({type_of(node.type_cast.type_name)})
    return CONSTANTS.get(str(node.a_const.WhichOneof("val")), frozenset())
