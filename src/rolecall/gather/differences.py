"""Two snapshots of a database, compared in words: what is new, and what is not as it was."""

from __future__ import annotations

from rolecall.catalog.snapshot import Item, Snapshot

# The parts that are worth a word of their own when their table is new too. Its columns and keys belong to it.
NAMED_PARTS = frozenset({"policy", "trigger", "index", "rule"})


def added(before: Snapshot, after: Snapshot) -> list[str]:
    """The objects that are only in ``after``, with the parts that are new in others; in the order of the snapshot."""
    new = [item for item in after.items if item not in before.items]
    return [_name(after, item) for item in new if _is_worth_a_word(item, before)]


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """Everything that is in only one of the two, or has other properties. Of a new or lost object, only itself."""
    changed = []
    for item in {**before.items, **after.items}:
        old, new = before.items.get(item), after.items.get(item)
        if item.part and (item.whole in before.items) != (item.whole in after.items):
            continue
        if old is None:
            changed.append(_name(after, item))
        elif new is None:
            changed.append(f"{_name(before, item)}: is missing")
        elif old != new:
            names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
            changed.append(f"{_name(after, item)}: has changed ({', '.join(names)})")
    return changed


def _is_worth_a_word(item: Item, before: Snapshot) -> bool:
    return not item.part or item.part_kind in NAMED_PARTS or item.whole in before.items


def _name(state: Snapshot, item: Item) -> str:
    """An item in words: ``policy own_notes on app.notes``."""
    whole = f"{state.kind(item)} {item.object}"
    if not item.part:
        return whole
    return f"{item.part} on {item.object}" if item.kind == "relation" else f"{item.part} on {whole}"
