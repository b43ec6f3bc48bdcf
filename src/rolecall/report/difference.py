"""What two access maps differ in: who gained access, who lost it, and what cannot be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rolecall.report.access import HEAD


@dataclass(frozen=True)
class Witness:
    """How to try a gain: the role, the claims and the settings of a request, and its statement."""

    role: str
    claims: Mapping[str, Any]
    settings: Mapping[str, str]
    statement: str


@dataclass(frozen=True)
class AccessChange:
    """An access that a persona gained or lost. ``sentence`` says it in words, without the phase.

    ``phase`` is the number of the last phase that was applied, :data:`~rolecall.report.access.HEAD` for all. ``row`` is
    empty for a function, and for no particular row. ``detail`` is what was gained or lost if the access itself stays:
    columns, or a way to do it.
    """

    persona: str
    object: str
    kind: str
    row: str
    command: str
    sentence: str
    detail: str = ""
    phase: int = HEAD
    witness: Witness | None = None


@dataclass(frozen=True)
class AccessDifference:
    """All changes from one access map to another, and in words what could not be compared."""

    gained: Sequence[AccessChange] = ()
    lost: Sequence[AccessChange] = ()
    not_compared: Sequence[str] = field(default_factory=tuple)

    def __bool__(self) -> bool:
        return bool(self.gained or self.lost or self.not_compared)
