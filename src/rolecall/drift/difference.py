"""A difference between two databases, and how bad it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from rolecall.catalog.snapshot import Item


class Rank(IntEnum):
    """How bad a difference is. A warning fails only with ``--strict``."""

    EXPOSES = 0  # somebody may do more than the steps intend, or a protection is off
    MISSING = 1
    DIFFERS = 2
    WARNING = 3


@dataclass(frozen=True)
class Difference:
    """One property that is not as expected.

    ``kind`` is what the object is called (table, view, function …). ``property`` is empty if the whole item is missing
    or extra; then ``expected`` or ``found`` describes it. ``expected`` is None for what the steps do not make,
    ``found`` for what is missing. ``step`` is the step that makes the item, or that needs it.
    """

    item: Item
    kind: str
    property: str
    expected: str | None
    found: str | None
    step: str
    rank: Rank


# These change no result and no right, or are often changed on purpose.
WARNINGS = {
    "allowed_mime_types",
    "collation",
    "comment",
    "cost",
    "inherits privileges",
    "leakproof",
    "parallel",
    "replica identity",
    "storage parameters",
    "version",
}
WARNING_KINDS = {"default privileges", "event trigger", "extension"}
# Who may do what depends on these. Each has the value that protects; any other one exposes.
PROTECTING = {
    "bypasses row level security": "no",
    "creates roles": "no",
    "enabled": "yes",
    "forced row level security": "on",
    "owner": "",
    "public": "false",
    "replication": "no",
    "row level security": "on",
    "security": "invoker",
    "security_barrier": "true",
    "security_invoker": "true",
    "settings": "",
    "superuser": "no",
    "triggers": "enabled",
}
EXPOSING_PARTS = {"child", "membership", "privileges", "rule", "setting"}


def rank(item: Item, name: str, expected: str | None, found: str | None, properties: dict[str, str]) -> Rank:
    """How bad a difference is. ``properties`` are those of the item where it exists."""
    harmless = item.part_kind == "index" and expected is None and properties.get("unique") == "no"
    if name in WARNINGS or item.kind in WARNING_KINDS or item.part_kind == "publication" or harmless:
        return Rank.WARNING
    if item.part_kind == "policy":
        lost = found is None and properties.get("kind") == "permissive"
        return Rank.MISSING if lost else Rank.EXPOSES
    if found != PROTECTING.get(name, found) or (item.part_kind in EXPOSING_PARTS and found is not None):
        return Rank.EXPOSES
    return Rank.MISSING if found is None else Rank.DIFFERS
