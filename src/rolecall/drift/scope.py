"""What of a database is the steps' own: what they make, what they change, and what could weaken it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace

from rolecall.catalog.snapshot import Item, Snapshot
from rolecall.drift.compare import schema_of
from rolecall.drift.expected import Expected

OBJECTS = {"relation", "routine", "type", "schema", "bucket"}
# On a table that is not ours, others may have triggers, indexes and privileges. These act on what our policies allow.
GUARDED = {"policy", "rule"}


def made(after: Snapshot, before: Snapshot) -> list[Item]:
    """The objects that exist only in ``after``."""
    return [whole for whole in after.parts if whole.kind in OBJECTS and whole not in before.items]


def changed(after: Snapshot, before: Snapshot) -> Iterator[tuple[Item, list[str] | None]]:
    """The new parts of older objects, and older items with the names of the properties that changed."""
    for item, properties in after.items.items():
        older = before.items.get(item)
        if item.kind not in OBJECTS or item.whole not in before.items or properties == older:
            continue
        names = [*properties, *(older or {})]
        yield item, None if older is None else [name for name in names if properties.get(name) != older.get(name)]


def dropped(after: Snapshot, before: Snapshot) -> list[Item]:
    """The items that exist only in ``before``; of an object that is gone, not its parts."""
    gone = [item for item in before.items if item.kind in OBJECTS and item not in after.items]
    return [item for item in gone if item == item.whole or item.whole in after.items]


def schemas(items: Collection[Item]) -> list[Item]:
    """The schemas of these objects."""
    names = dict.fromkeys(schema_of(item) for item in items)
    return [Item("schema", name) for name in names if name]


def roles(after: Snapshot, items: Collection[Item], personas: Collection[str]) -> list[Item]:
    """The personas' roles, and the roles to which these items grant something or whose policies these are."""
    names = [quoted(name) for name in personas]
    for item in items:
        if item.part_kind == "privileges":
            names.append(item.part.removeprefix("privileges of "))
        elif item.part_kind == "policy":
            names += after.items[item].get("roles", "").split(", ")
    known = dict.fromkeys(Item("role", name) for name in names if name)
    return [role for role in known if role in after.items]


def quoted(name: str) -> str:
    """A name as quote_ident() writes it, unless it is a keyword."""
    plain = name.replace("_", "a").isalnum() and name == name.lower() and not name[0].isdigit() and name.isascii()
    return name if plain else '"' + name.replace('"', '""') + '"'


def owner(found: Snapshot, items: Collection[Item]) -> str | None:
    """The role that owns most of these objects; None if none of them exists."""
    owners = Counter(found.items[item]["owner"] for item in items if "owner" in found.items.get(item, {}))
    return owners.most_common(1)[0][0] if owners else None


def with_owner(expected: Expected, name: str) -> Expected:
    """The same, as if another role had run the steps. Its name is not the same in every database."""
    stages = tuple(replace(stage, snapshot=_renamed(stage.snapshot, expected.role, name)) for stage in expected.stages)
    return replace(expected, start=_renamed(expected.start, expected.role, name), stages=stages, role=name)


def _renamed(snapshot: Snapshot, old: str, new: str) -> Snapshot:
    items = {}
    for item, properties in snapshot.items.items():
        if item.kind == "role":
            items[item] = properties
            continue
        if item.kind == "default privileges":
            name = item.object.replace(f"{quoted(old)} for ", f"{quoted(new)} for ", 1)
            item = item._replace(object=name)
        if item.part == f"privileges of {quoted(old)}":
            item = item._replace(part=f"privileges of {quoted(new)}")
        items[item] = {**properties, "owner": new} if properties.get("owner") == old else properties
    return Snapshot(items, snapshot.version, snapshot.unseen)
