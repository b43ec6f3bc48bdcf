"""What a run finds, as dataclasses: a renderer shows them, in the terminal or anywhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Attempt:
    """A statement that was tried for a cell, and what came of it.

    ``blind``: it reads no column. ``representation``: it asks for the row that it writes. ``columns`` are those that
    were granted one by one, where the table is refused; ``column_rows`` is what was reached with them.
    """

    statement: str
    verdict: str
    outcome: str
    writes: bool
    blind: bool = False
    representation: bool = False
    columns: Sequence[str] = ()
    column_rows: int | None = None


@dataclass(frozen=True)
class PolicyDecision:
    """A policy that applies, and what it decides as the table's only policy."""

    policy: str
    decision: str


@dataclass(frozen=True)
class Decisions:
    """The policies that apply to a command of a role; none: nothing is allowed."""

    command: str
    role: str
    policies: Sequence[PolicyDecision]


@dataclass(frozen=True)
class Reason:
    """Why a cell came out as it did: privileges, and policies.

    ``reads`` are the SELECT policies, where a write also depends on them; ``reads_what`` is the row that they decide
    about.
    """

    role: str
    table: str
    privileges: Sequence[str]
    decisions: Decisions
    reads: Decisions | None = None
    reads_what: str = ""


@dataclass(frozen=True)
class CellFailure:
    """A cell whose outcome is not the expected one. ``reason`` is None if the check itself failed."""

    table: str
    row: str
    command: str
    persona: str
    path: Path
    line: int
    role: str
    claims: Mapping[str, Any]
    setup: str
    expected: str
    meaning: str
    attempts: Sequence[Attempt]
    reason: Reason | None


@dataclass(frozen=True)
class CoverageCount:
    """How many things of one kind are covered: ``total``, and the names of those that are not."""

    what: str
    total: int
    missing: Sequence[str] = field(default_factory=list)

    @property
    def covered(self) -> int:
        """How many are covered."""
        return self.total - len(self.missing)


@dataclass(frozen=True)
class Survivor:
    """A mutant that no test noticed.

    ``cells`` and ``tests`` say how many cells and, by module, how many tests were tried against it.
    """

    id: str
    target: str
    change: str
    operator: str
    description: str
    stands_for: str
    before: str
    after: str
    cells: int
    tests: Mapping[str, int]
    catches: str


@dataclass(frozen=True)
class MutationScore:
    """How many mutants had each outcome (killed, survived, invalid, equivalent, error), and how long it took."""

    outcomes: Mapping[str, int]
    seconds: float

    @property
    def total(self) -> int:
        """How many mutants were tried."""
        return sum(self.outcomes.values())

    @property
    def score(self) -> float | None:
        """The killed of the killed and the survived, in per cent; None if there are neither."""
        killed, survived = (self.outcomes.get(outcome, 0) for outcome in ("killed", "survived"))
        return 100 * killed / (killed + survived) if killed + survived else None
