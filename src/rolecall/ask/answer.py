"""The answers to questions about access, as data. :mod:`rolecall.ask.text` makes text of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rolecall.report.failures import Attempt, PolicyDecision


@dataclass(frozen=True)
class Cause:
    """What decides. ``place`` is the file and line that makes it, and empty if that is not known.

    ``kind`` is schema, privilege, role, row security, policy, trigger, constraint, rule, view, function or check.
    ``way`` says for which way of a write; it is empty for all of them. ``text`` is a sentence.
    """

    kind: str
    name: str
    text: str
    place: str = ""
    way: str = ""


@dataclass(frozen=True)
class Answer:
    """What happens if a persona sends a command to one row, and why.

    ``row`` is empty for a function, and if the world has no row. ``expected`` is the grid's verdict, and empty without
    one; ``test`` is the id of the grid and ``place`` the line of its cell. ``change`` has sentences: what would change
    it.
    """

    object: str
    kind: str
    row: str
    command: str
    persona: str
    role: str
    claims: Mapping[str, Any]
    settings: Mapping[str, str]
    setup: str
    verdict: str
    meaning: str
    attempts: Sequence[Attempt]
    grants: Sequence[str]
    policies: Sequence[PolicyDecision] = ()
    reads: Sequence[PolicyDecision] = ()
    decides: Sequence[Cause] = ()
    change: Sequence[str] = ()
    expected: str = ""
    test: str = ""
    place: str = ""
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def differs(self) -> bool:
        """Whether the grid, or the user, says something else."""
        return bool(self.expected) and self.expected != self.verdict


@dataclass(frozen=True)
class Repair:
    """A change of the schema that makes verdicts the expected ones. ``words`` is the number of words that it adds,
    with half of those that it takes away.

    ``green`` are other cells that differed from their grid and are right with it. ``also`` has what changes besides,
    where no grid says what is right.
    """

    sql: str
    words: int
    what: str
    green: Sequence[str] = ()
    also: Sequence[str] = ()


@dataclass(frozen=True)
class Repairs:
    """The shortest repair, or None. ``tried`` is the number of changes that were tried.

    ``others`` is the number of other repairs that are as short. ``almost`` is the shortest change that makes the cell
    right and breaks others, with one of these.
    """

    best: Repair | None
    tried: int
    others: int = 0
    almost: str = ""


@dataclass(frozen=True)
class Row:
    """Who can do a command with a row: the verdict of each persona that can, and of each that cannot."""

    row: str
    can: Mapping[str, str]
    cannot: Mapping[str, str]


@dataclass(frozen=True)
class Who:
    """Who can do a command with an object, by row. ``statement`` is one that was tried."""

    object: str
    kind: str
    command: str
    statement: str
    rows: Sequence[Row]
    notes: Sequence[str] = ()


def as_json(data: Any) -> str:
    """Answers as JSON. What has no type of JSON becomes text."""
    return json.dumps(data, indent=2, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    return asdict(value) if hasattr(value, "__dataclass_fields__") else str(value)
