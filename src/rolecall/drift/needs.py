"""What the steps need of the database before them, and what of it is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rolecall.catalog.snapshot import Item, Snapshot
from rolecall.drift.difference import Difference, Rank
from rolecall.drift.expected import Expected

# Types of one family take each other's values, as far as they fit. Another type of the family is only a warning.
FAMILIES = (
    {"smallint", "integer", "bigint", "numeric", "real", "double precision"},
    {"text", "character varying", "character", "name", "citext"},
    {"timestamp with time zone", "timestamp without time zone"},
)
TABLES = {"table", "partitioned table"}


def missing(expected: Expected, found: Snapshot) -> Iterator[Difference]:
    """What the steps need and the database does not have, or has in another form. A missing table is one difference."""
    for item, (step, _) in expected.needs.items():
        if item != item.whole and item.whole not in found.items:
            continue
        for name, wanted, actual in _problems(item, expected.start, found):
            badness = Rank.MISSING if actual is None else Rank.DIFFERS
            if name == "type" and actual and _family(wanted) == _family(actual):
                badness = Rank.WARNING
            elif name == "row level security":
                badness = Rank.EXPOSES
            yield Difference(item, expected.start.kind(item), name, wanted, actual, step, badness)


def _problems(item: Item, start: Snapshot, found: Snapshot) -> Iterator[tuple[str, str, str | None]]:
    """The name of a property, the value that the steps were tried with, and the other value."""
    wanted, actual = start.items[item], found.items.get(item)
    if item.part_kind == "constraint":
        columns = _key(wanted["definition"])
        if columns and not any(_key(key) == columns for key in _keys(item.whole, found)):
            yield "", f"a unique key on {columns}", None
        return
    if actual is None:
        yield "", wanted.get("type") or wanted.get("kind", ""), None
        return
    names = {"column": ["type"]}.get(item.part_kind, ["kind", "result", "row level security", "labels"])
    for name in names:
        value, other = wanted.get(name), actual.get(name)
        if value == other or value is None or (name == "kind" and TABLES.issuperset((value, other or ""))):
            continue
        if name == "row level security" and value == "off":
            continue
        yield name, value, other or "none"


def _key(definition: str) -> str | None:
    """The columns of a PRIMARY KEY, of a UNIQUE constraint or of a unique index; None for any other constraint."""
    match = re.fullmatch(r"(?:PRIMARY KEY|UNIQUE|btree) (\([^()]*\))", definition)
    return match[1] if match else None


def _keys(table: Item, found: Snapshot) -> Iterator[str]:
    """The definitions of all keys of a table."""
    for item in found.parts.get(table, []):
        properties = found.items[item]
        if item.part_kind == "constraint" or (item.part_kind == "index" and properties["unique"] == "yes"):
            yield properties["definition"]


def _family(name: str) -> object:
    base = re.sub(r"\(.*?\)", "", name).strip()
    return next((number for number, family in enumerate(FAMILIES) if base in family), base)
