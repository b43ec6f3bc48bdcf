"""The result of the league: who noticed which case, stored as JSON."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from league.cases import DEFECT, KINDS, MISTAKE, MUTANT, REWRITE

RESULTS = Path(__file__).parent / "results"
PATH = RESULTS / "league.json"
COLUMNS = {MUTANT: "mutants", DEFECT: "defects", MISTAKE: "mistakes", REWRITE: "false alarms"}
TOGETHER = "the linters together"


@dataclass
class Standing:
    """What one tool noticed: the first new finding of each case, by the case's id, and None without one.

    ``seconds`` is the time for the unchanged schema, from nothing. ``problems`` are the cases that the tool could not
    look at, with the reason.
    """

    name: str
    version: str
    made_for: str
    compares_with: str
    commands: Sequence[str]
    is_linter: bool
    seconds: float = 0.0
    noticed: dict[str, str | None] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def count(self, kind: str) -> tuple[int, int]:
        """How many cases of a kind were noticed, of how many."""
        findings = [found for case, found in self.noticed.items() if case.startswith(f"{kind}: ")]
        return len([found for found in findings if found is not None]), len(findings)


@dataclass
class Result:
    """The standings of all tools, and the cases by id with their titles.

    ``limit`` is set if only so many cases of each kind were tried.
    """

    seed: int
    limit: int | None
    server: str
    titles: dict[str, str]
    standings: list[Standing] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path = PATH) -> Result:
        """The stored result."""
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**data, "standings": [Standing(**each) for each in data["standings"]]})

    def save(self, path: Path = PATH) -> Path:
        """Write the result; returns the path."""
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return path

    def rows(self) -> list[tuple[str, dict[str, tuple[int, int]], float]]:
        """A row for each tool: its name, its counts by kind, and its seconds. The last linter's is followed by a row
        for all linters together.
        """
        rows = [(each.name, {kind: each.count(kind) for kind in KINDS}, each.seconds) for each in self.standings]
        if linters := [each for each in self.standings if each.is_linter]:
            place = self.standings.index(linters[-1]) + 1
            together = {kind: united([each.noticed for each in linters], kind) for kind in KINDS}
            rows.insert(place, (TOGETHER, together, sum(each.seconds for each in linters)))
        return rows


def united(noticed: Collection[Mapping[str, str | None]], kind: str) -> tuple[int, int]:
    """How many cases of a kind at least one of several tools noticed, of how many that any of them looked at."""
    cases = {case for each in noticed for case in each if case.startswith(f"{kind}: ")}
    return len([case for case in cases if any(each.get(case) is not None for each in noticed)]), len(cases)


def of(count: tuple[int, int]) -> str:
    """A count as text; a dash if there was nothing to notice."""
    return f"{count[0]} of {count[1]}" if count[1] else "-"
