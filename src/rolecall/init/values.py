"""Values for the columns of a proposed row: first the one that reads best, then others for a constraint to choose from.

They are Python values of a few types, so that the written file is readable. PostgreSQL reads a text as any other type.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import postgast

from rolecall.init.facts import SET, Constant
from rolecall.init.shape import Column, Table
from rolecall.sql.tree import expression, walk

# By a part of the column's name; {0} is the owner.
NAMED = {
    "email": "{0}@example.com",
    "url": "https://example.com/{0}",
    "link": "https://example.com/{0}",
    "slug": "{0}",
    "username": "{0}",
    "handle": "{0}",
    "phone": "+1555010{1:04d}",
    "currency": "EUR",
    "country": "DE",
    "locale": "en",
    "language": "en",
    "timezone": "UTC",
    "time_zone": "UTC",
    "color": "#A1B2C3",
    "colour": "#A1B2C3",
}
# What a CHECK on a text often wants.
USUAL = (
    "EUR",
    "DE",
    "en",
    "UTC",
    "#A1B2C3",
    "active",
    "12345",
    "10:00",
    "2026-01-15",
    "a",
    "A",
    "AB12CD",
    "+15550100001",
)
TIMES = {
    "timestamptz": ("2026-01-15 09:00+00", "2026-01-15 10:00+00", "2999-12-31 00:00+00"),
    "timestamp": ("2026-01-15 09:00", "2026-01-15 10:00", "2999-12-31 00:00"),
    "date": ("2026-01-15", "2026-01-16", "2999-12-31"),
    "time": ("09:00", "10:00", "17:00"),
    "timetz": ("09:00+00", "10:00+00", "17:00+00"),
    "interval": ("1 hour", "1 day"),
}
OTHERS: dict[str, tuple[Any, ...]] = {
    **TIMES,
    "bool": (False, True),
    "json": ({},),
    "jsonb": ({},),
    "bytea": ("\\x00",),
    "inet": ("192.0.2.1",),
    "cidr": ("192.0.2.0/24",),
    "macaddr": ("00:00:5e:00:53:01",),
    "point": ("(1,2)",),
    "box": ("(1,2),(3,4)",),
    "tsvector": ("word",),
    "xml": ("<a/>",),
    "bit": ("1",),
    "varbit": ("1",),
    "ltree": ("a.b",),
    "oid": (1,),
}
RANGES = {"int4range": "[1,5)", "int8range": "[1,5)", "numrange": "[1,5)", "daterange": "[2026-01-15,2026-01-20)"}
RANGES |= {"tstzrange": "[2026-01-15 09:00+00,2026-01-15 10:00+00)", "tsrange": "[2026-01-15 09:00,2026-01-15 10:00)"}
PATTERN = re.compile(r"[\\^$*+?%\[\]()|]")  # no value, but a pattern that a CHECK compares with
LONGEST = 200  # characters that a CHECK is given


def uuid(group: int, number: int) -> str:
    """A readable UUID: the same in every run."""
    return f"{group:08d}-0000-4000-8000-{number:012d}"


def key(column: Column, owner: str, group: int, number: int) -> Any:
    """A value that no other row of the table has: ``number`` counts the rows, ``group`` the tables."""
    if column.type == "uuid":
        return uuid(group, number)
    if column.category == "N":
        return number
    return best(column, owner if number <= 1 else f"{owner}-{number}", number)


def best(column: Column, owner: str, number: int) -> Any:
    """The value that reads best."""
    return next(candidates(column, owner, number, ()), None)


def candidates(column: Column, owner: str, number: int, constants: Sequence[Any]) -> Iterator[Any]:
    """Values of a column, the best first. ``constants`` are those of the constraints that it must satisfy."""
    if column.category == "E":
        yield from column.labels
    elif column.type in OTHERS:
        yield from OTHERS[column.type]
    elif column.type in RANGES:
        yield RANGES[column.type]
    elif column.type == "uuid":
        yield uuid(90, number)
    elif column.category == "N":
        numbers = [each for each in constants if isinstance(each, int) and not isinstance(each, bool)]
        yield from dict.fromkeys([1, *(each + step for each in numbers for step in (0, 1, -1)), 0, 10, 100, 1000, -1])
    elif column.category == "A":
        yield "{}"
    elif column.category == "S" or column.type == "citext":
        yield from (text[: _longest(column)] for text in dict.fromkeys(_texts(column, owner, number, constants)))
    else:
        yield f"{owner} {column.name}"


def _texts(column: Column, owner: str, number: int, constants: Sequence[Any]) -> Iterator[str]:
    name = column.name.lower()
    readable = f"{owner} {name.replace('_', ' ')}"
    yield next((text.format(owner, number) for part, text in NAMED.items() if part in name), readable)
    yield from (each for each in constants if isinstance(each, str) and each)
    for length in (each for each in constants if isinstance(each, int) and 0 < each <= LONGEST):
        yield from ((readable + "x" * LONGEST)[:each] for each in (length, length + 1, length - 1))
    yield from (owner, owner.upper(), *USUAL, "")


def _longest(column: Column) -> int | None:
    return column.modifier - 4 if column.modifier > 4 else None


def constants_of(expressions: Iterable[str]) -> list[Any]:
    """The constants of SQL expressions."""
    found: list[Any] = []
    for text in expressions:
        try:
            nodes = [node for node in walk(expression(text)) if node.DESCRIPTOR.name == "A_Const"]
        except postgast.PgQueryError:
            continue
        for node in nodes:
            kind = node.WhichOneof("val")
            if kind in ("ival", "sval"):
                found.append(node.ival.ival if kind == "ival" else node.sval.sval)
    return found


def choices(table: Table, column: str) -> list[str]:
    """The texts that the CHECK constraints on a column name: those that it allows, mostly."""
    checks = [check.expression for check in table.checks if column in check.columns]
    return [each for each in constants_of(checks) if isinstance(each, str) and each and not PATTERN.search(each)]


def of_constant(constant: Constant, column: Column, owner: str, number: int) -> Any:
    """The value of a column that a policy compares with a constant."""
    if constant == SET:
        return best(column, owner, number)
    value = constant.value
    if column.type == "bool" and isinstance(value, str):
        return value in ("true", "t")
    if column.category == "N" and isinstance(value, str) and value.lstrip("-").isdigit():
        return int(value)
    return value
