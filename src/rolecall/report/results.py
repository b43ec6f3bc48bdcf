"""The results of a run as dataclasses, without their presentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MUTANTS = "mutants::"  # the id of the test of each mutant begins with it


@dataclass(frozen=True)
class ObservedCell:
    """A cell whose verdict was observed, and not decided by a person.

    ``file`` is relative, as in pytest's ids. ``leak`` is why the persona should perhaps not have this access; empty if
    it does not look so. ``differs``: the grid has another verdict, or none if ``written`` is False. ``path``, ``call``
    (the line), ``table`` and ``digest`` (of the file) say which grid it is.
    """

    file: str
    line: int
    row: str
    command: str
    persona: str
    verdict: str
    leak: str
    differs: bool
    written: bool
    path: str
    call: int
    table: str
    digest: str

    def __str__(self) -> str:
        return f"{self.command} on {self.row!r} as {self.persona} is {self.verdict}?"


@dataclass(frozen=True)
class CellTally:
    """The cells of a run, by outcome. ``wrong``: not as the grid says. ``failed``: could not be tried."""

    grids: int
    personas: int
    right: int
    wrong: int = 0
    undecided: int = 0
    failed: int = 0

    @property
    def tried(self) -> int:
        """The number of cells that have a verdict."""
        return self.right + self.wrong + self.undecided


@dataclass(frozen=True)
class CoverageCount:
    """How many items of one kind are covered. ``missing`` has the names of those that are not."""

    what: str
    total: int
    missing: Sequence[str] = field(default_factory=list)

    @property
    def covered(self) -> int:
        """How many are covered."""
        return self.total - len(self.missing)


@dataclass(frozen=True)
class Survivor:
    """A mutant that no test killed, or only the test ``pin``, which compares a definition with a copy of it.

    ``cells`` is the number of cells that were tried against it; ``tests`` is the number of tests, by module.
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
    pin: str = ""


@dataclass(frozen=True)
class MutationScore:
    """The number of mutants by outcome, and the time they took.

    The outcomes are killed (a cell or a test of behaviour failed), pinned (only a pin failed), survived, equivalent,
    invalid and error.
    """

    outcomes: Mapping[str, int]
    seconds: float

    @property
    def total(self) -> int:
        """The number of mutants that were tried."""
        return sum(self.outcomes.values())

    @property
    def score(self) -> float | None:
        """The share of the killed in the killed, the pinned and the survived, in per cent. None without any."""
        total = sum(self.outcomes.get(outcome, 0) for outcome in ("killed", "pinned", "survived"))
        return 100 * self.outcomes.get("killed", 0) / total if total else None
