"""Calls of a function, with arguments from the world: subjects, keys and texts, by type and by parameter name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import combinations, islice, product
from typing import Any
from uuid import UUID

from psycopg import Connection

from rolecall.access.world import World, literal
from rolecall.catalog.definitions import Function

MAX_CALLS = 120  # of one function
MAX_VALUES = 24  # of one parameter
UNKNOWN = "00000000-0000-4000-8000-000000000000"  # the id of no row
MONDAY = date(2026, 1, 5)
PARAMETERS = """
SELECT COALESCE((SELECT array_agg(name ORDER BY place)
                 FROM unnest(proargnames) WITH ORDINALITY AS n (name, place)
                 WHERE proargmodes IS NULL OR proargmodes[place] IN ('i', 'b', 'v')), '{}'),
       ARRAY(SELECT format_type(type, NULL) FROM unnest(proargtypes) WITH ORDINALITY AS t (type, place) ORDER BY place)
FROM pg_proc WHERE oid = %s::regprocedure
"""
# The values of each type that are tried besides those of the world.
NUMBERS, TEXTS, JSON = (1, 0, -1, 20), ("x", ""), ("{}", '{"a": 1}')
MOMENTS = datetime(2026, 1, 5, 12), datetime(2000, 1, 1)
VALUES: dict[str, Sequence[Any]] = {
    "uuid": (UNKNOWN,),
    "boolean": (True, False),
    **dict.fromkeys(("smallint", "integer", "bigint", "numeric", "real", "double precision"), NUMBERS),
    **dict.fromkeys(("text", "character varying"), TEXTS),
    **dict.fromkeys(("json", "jsonb"), JSON),
    "date": [MONDAY + timedelta(days=number) for number in range(7)],
    **dict.fromkeys(("timestamp without time zone", "timestamp with time zone"), MOMENTS),
    "time without time zone": ("12:00",),
    "interval": ("1 hour",),
}


def of(connection: Connection[Any], function: Function, world: World) -> list[str]:
    """SELECT statements that call a function, at most ``MAX_CALLS``: first each value of each parameter, then pairs."""
    row = connection.execute(PARAMETERS, [function.signature]).fetchone()
    names, types = row or ([], [])
    names = [*names, *[""] * (len(types) - len(names))]
    values = [
        [_argument(value, type_) for value in _values(name, type_, world)]
        for name, type_ in zip(names, types, strict=True)
    ]
    return [
        f"SELECT * FROM {function.signature.partition('(')[0]}({', '.join(arguments)})"
        for arguments in islice(_combined(values), MAX_CALLS)
    ]


def _combined(values: Sequence[Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """All combinations if they are few; otherwise those of each two parameters, with the first values of the others."""
    total = 1
    for each in values:
        total *= len(each)
    if total <= MAX_CALLS:
        yield from product(*values)
        return
    known: set[tuple[str, ...]] = set()
    for changed in (1, 2):  # parameters that have another value than their first
        for places in combinations(range(len(values)), changed):
            for changes in product(*(values[place] for place in places)):
                at = dict(zip(places, changes, strict=True))
                arguments = tuple(at.get(place, each[0]) for place, each in enumerate(values))
                if arguments not in known:
                    known.add(arguments)
                    yield arguments


def _values(name: str, type_: str, world: World) -> list[Any]:
    """The values of a parameter: those of the world's columns of its name, subjects, those of its type, and NULL."""
    element, is_array = type_.removesuffix("[]"), type_.endswith("[]")
    column = re.sub(r"^_*(p|in|arg|v)?_+", "", name.lower()).strip("_")
    column = column.removesuffix("s") if is_array else column
    values = [value for _, _, row in world for key, value in row.items() if key == column]
    if element == "uuid":
        table = f".{column.removesuffix('_id')}s"
        values += [row["id"] for name, _, row in world if name.endswith(table) and "id" in row]
        values += [persona.claims["sub"] for persona in world.personas.values() if "sub" in persona.claims]
        values = [each for each in values if _is_uuid(each)]
    values = [*list(dict.fromkeys(map(_scalar, values)))[:MAX_VALUES], *VALUES.get(element, ())]
    if is_array:
        return [None, values, [], [None], *([value] for value in values)]
    return [*values, None]


def _scalar(value: Any) -> Any:
    """A value of the world; JSON as text."""
    return json.dumps(value) if isinstance(value, (dict, list)) else value


def _is_uuid(value: Any) -> bool:
    try:
        return bool(UUID(str(value)))
    except ValueError:
        return False


def _argument(value: Any, type_: str) -> str:
    return f"{literal(value).as_string()}::{type_}"
