"""Which tables, views and functions an object uses: in its policies and triggers, its query or its text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import Connection

from rolecall.catalog import dependencies, snapshot
from rolecall.drift import bodies

# Not constraints and defaults: they do not decide who reads a row.
USING_PARTS = frozenset({"", "policy", "trigger", "rule"})
USED_KINDS = frozenset({"relation", "routine"})


def uses(connection: Connection[Any], names: Mapping[str, str]) -> dict[str, list[str]]:
    """What each object uses directly, by its name in the report, sorted.

    ``names`` are the names in the report by those in SQL. What is not in it, e.g. the function of a trigger, has its
    name in SQL.
    """
    recorded, texts = dependencies.read(connection)
    known = bodies.known(snapshot.read(connection).items)
    named = [each for body in texts for each in bodies.dependencies(body, known)]
    found: dict[str, set[str]] = {}
    for item, needed in recorded + named:
        user = names.get(item.object)
        if user and item.part_kind in USING_PARTS and needed.kind in USED_KINDS and needed.object != item.object:
            found.setdefault(user, set()).add(names.get(needed.object, needed.object))
    return {name: sorted(used) for name, used in found.items()}
