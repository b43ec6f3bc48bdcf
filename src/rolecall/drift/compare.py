"""Compare the snapshots of two databases, object by object."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from rolecall.catalog.snapshot import Item, Properties, Snapshot
from rolecall.drift.difference import Difference, rank

# Since this version, GRANT ALL on a table grants MAINTAIN too.
MAINTAIN = 170000
Rewrite = Callable[[str], str | None]


def schema_of(item: Item) -> str:
    """The schema of an object, as it is quoted; a schema is its own."""
    if item.kind == "schema":
        return item.object
    match = re.match(r'("(?:[^"]|"")*"|[^."(]+)\.', item.object)
    return match[1] if match and item.kind in ("relation", "routine", "type") else ""


def name_of(routine: Item) -> str:
    """The name of a function without its arguments."""
    match = re.match(r'(?:"(?:[^"]|"")*"|[^"(])*', routine.object)
    return match[0] if match else routine.object


@dataclass(frozen=True)
class Comparison:
    """Compares items of ``wanted`` with those of ``found``.

    ``step_of`` says which step makes an item. ``rewrite`` gives the query of a view as the version of ``wanted`` writes
    it; it is only called if the texts differ.
    """

    wanted: Snapshot
    found: Snapshot
    step_of: Callable[[Item], str]
    rewrite: Rewrite

    def whole(self, whole: Item) -> Iterator[Difference]:
        """The differences of an object: of itself and of all its parts, of which either database has some."""
        if whole.kind in self.found.unseen:
            return
        if whole not in self.found.items:
            yield self.difference(whole, "", self.wanted.kind(whole), None)
            return
        kinds = self.wanted.kind(whole), self.found.kind(whole)
        if kinds[0] != kinds[1]:  # e.g. a view in the place of a table: the rest cannot be compared
            yield self.difference(whole, "kind", *kinds)
            return
        for item in dict.fromkeys([*self.wanted.parts.get(whole, []), *self.found.parts.get(whole, [])]):
            yield from self.item(item)

    def item(self, item: Item, only: Iterable[str] | None = None) -> Iterator[Difference]:
        """The differences of one object or part, in all properties or in these."""
        wanted, found = self.wanted.items.get(item), self.found.items.get(item)
        if item.part_kind == "privileges":  # each privilege is a thing of its own
            wanted, found = wanted or {}, found or {}
        if (wanted is None and found is None) or item.kind in self.found.unseen:
            return
        if wanted is None or found is None:
            yield self.difference(item, "", summary(wanted), summary(found))
            return
        for name in dict.fromkeys([*wanted, *found]) if only is None else only:
            expected, actual = wanted.get(name), found.get(name)
            if expected != actual and not self._means_the_same(item, name, expected, actual):
                yield self.difference(item, name, expected, actual)

    def difference(self, item: Item, name: str, expected: str | None, found: str | None) -> Difference:
        """A difference with its rank."""
        properties = self.found.items.get(item) or self.wanted.items.get(item, {})
        kind = self.wanted.kind(item) if item.whole in self.wanted.items else self.found.kind(item)
        badness = rank(item, name, expected, found, properties)
        return Difference(item, kind, name, expected, found, self.step_of(item) or self.step_of(item.whole), badness)

    def _means_the_same(self, item: Item, name: str, expected: str | None, found: str | None) -> bool:
        if item.part_kind == "privileges" and name == "MAINTAIN":
            return min(self.wanted.version, self.found.version) < MAINTAIN
        if name == "order of columns":  # of other columns; each of them is a difference already
            return sorted(_columns(self.wanted, item)) != sorted(_columns(self.found, item))
        if name == "query" and found is not None and self.wanted.version // 10000 != self.found.version // 10000:
            return self.rewrite(found) == expected
        return False


def _columns(snapshot: Snapshot, whole: Item) -> list[str]:
    return [item.part for item in snapshot.parts.get(whole, []) if item.part_kind == "column"]


# What a property is called in a summary; a property without a line is its value alone.
WORDS = {
    "default": "DEFAULT ",
    "using": "USING ",
    "with check": "WITH CHECK ",
    "command": "FOR ",
    "roles": "TO ",
}
SILENT = {"triggers", "enabled", "valid", "comment", "index"}
YES_OR_NO = {"nulls": ("refused", "NOT NULL"), "unique": ("yes", "UNIQUE")}


def summary(properties: Properties | None) -> str | None:
    """An object or a part in one line; None without one."""
    return None if properties is None else " ".join(filter(None, _words(properties)))


def _words(properties: Properties) -> Iterator[str]:
    for name, value in properties.items():
        if name in YES_OR_NO:
            condition, word = YES_OR_NO[name]
            yield word if value == condition else ""
        elif name not in SILENT:
            yield WORDS.get(name, "") + value
