"""What was exercised, against what the catalog says there is."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from itertools import product
from typing import TypeVar

from rolecall.catalog import Object
from rolecall.database import Built

T = TypeVar("T")


class Exercised:
    """What the tests of one process did; gathered from all workers at the end.

    Each fact is a short tuple of texts, so that it travels between processes: ``("cell", table,
    command, persona)``, ``("ran", function or view, persona)``, ``("refused", table, constraint)``,
    ``("rolled back", phase)``.
    """

    def __init__(self) -> None:
        self.facts: set[tuple[str, ...]] = set()
        self._names: re.Pattern[str] | None = None

    def watch_for(self, objects: Iterable[Object]) -> None:
        """Recognise these functions and views where a statement names them."""
        names = {re.escape(item.full_name) for item in objects}
        self._names = re.compile("|".join(sorted(names, key=len, reverse=True))) if names else None

    def statement(self, text: str, persona: str | None) -> None:
        """Note the functions and views that a statement names, and who ran it."""
        if persona and self._names:
            self.facts |= {("ran", name, persona) for name in self._names.findall(text)}

    def add(self, *fact: str) -> None:
        """Note one fact."""
        self.facts.add(fact)

    def as_json(self) -> list[list[str]]:
        return sorted(map(list, self.facts))

    def merge(self, facts: Iterable[Iterable[str]]) -> None:
        """Take over what another process noted."""
        self.facts |= {tuple(fact) for fact in facts}


@dataclass(frozen=True)
class Tally:
    """``done`` of ``total`` things of one kind, and the names of those left out."""

    what: str
    total: int
    missing: list[str] = field(default_factory=list)

    @property
    def done(self) -> int:
        return self.total - len(self.missing)

    @classmethod
    def of(cls, what: str, there: Collection[T], exercised: Callable[[T], bool]) -> Tally:
        """Count those of ``there`` for which ``exercised`` holds."""
        return cls(what, len(there), [_name(item) for item in there if not exercised(item)])


def tally(built: Built, exercised: Exercised, personas: Collection[str]) -> list[Tally]:
    """Count, from the catalog, what the migrations made and how much of it the tests exercised."""
    facts = exercised.facts
    tables = {item.full_name for item in built.of_kind("table")}
    constraints = [item for item in built.of_kind("constraint", "unique", "not null") if item.owner in tables]
    counted = [
        Tally.of("policies", built.of_kind("policy"), lambda item: _tried(item, facts)),
        Tally.of("constraints", constraints, lambda item: ("refused", item.owner, item.name) in facts),
        *(
            Tally.of(f"{kind}s x personas", _pairs(built.of_kind(kind), personas), lambda pair: ("ran", *pair) in facts)
            for kind in ("function", "view")
        ),
        Tally.of("rollbacks", built.phases, lambda phase: ("rolled back", phase) in facts),
    ]
    return [each for each in counted if each.total]


def _tried(policy: Object, facts: set[tuple[str, ...]]) -> bool:
    """Whether the grids tried every command of a policy."""
    needed = {"select", "insert", "update", "delete"} if policy.detail == "all" else {policy.detail}
    return needed <= {fact[2] for fact in facts if fact[:2] == ("cell", policy.owner)}


def _pairs(objects: Iterable[Object], personas: Iterable[str]) -> list[tuple[str, str]]:
    return list(product((item.full_name for item in objects), personas))


def _name(item: object) -> str:
    if isinstance(item, Object):
        return f"{item.owner}: {item.name}"
    return " as ".join(item) if isinstance(item, tuple) else str(item)
