"""What a report says of a mutant that was tried. A worker sends it to the first process with pytest's report."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pytest

from rolecall.mutants.operators.operator import Mutant
from rolecall.mutants.runner import OUTCOME, MutantItem, SurvivedError
from rolecall.report.results import Survivor
from rolecall.sql import files

ATTRIBUTE = "rolecall_mutant"  # of a report; pytest sends it between processes as JSON
UNNOTICED = ("survived", "pinned")  # the outcomes that fail the run without a declaration


@dataclass(frozen=True)
class Record:
    """A mutant and its outcome. ``kind``, ``name`` and ``owner`` are those of its target.

    ``script`` is the path of the file that it changes, at the offset ``start``; empty for a mutant of the schema.
    ``before`` and ``after`` are then the statement and what takes its place.
    """

    id: str
    kind: str
    name: str
    owner: str
    target: str
    change: str
    operator: str
    before: str
    after: str
    script: str
    start: int
    outcome: str
    reason: str
    test: str
    seconds: float
    survivor: Survivor | None


def attach(report: pytest.TestReport, item: MutantItem, error: BaseException | None) -> None:
    """Add the record of a mutant to the report of its item."""
    mutant, target = item.mutant, item.mutant.target
    outcome, reason = dict(report.user_properties).get(OUTCOME, "error"), item.reason
    if report.failed and outcome not in UNNOTICED:
        outcome, reason = "error", report.longreprtext
    start, after = _replacement(mutant)
    record = Record(
        id=mutant.id,
        kind=target.kind,
        name=target.name,
        owner=target.owner,
        target=str(target),
        change=mutant.what,
        operator=mutant.operator,
        before=mutant.before,
        after=after,
        script=str(mutant.script.path) if mutant.script else "",
        start=start,
        outcome=str(outcome),
        reason=reason,
        test=item.noticed_by,
        seconds=report.duration,
        survivor=error.survivor if isinstance(error, SurvivedError) else None,
    )
    setattr(report, ATTRIBUTE, asdict(record))


def read(report: Any) -> Record | None:
    """The record of a report; None for one that is not about a mutant."""
    attached: dict[str, Any] | None = getattr(report, ATTRIBUTE, None)
    if attached is None:
        return None
    survivor = attached["survivor"]
    return Record(**attached | {"survivor": Survivor(**survivor) if survivor else None})


def _replacement(mutant: Mutant) -> tuple[int, str]:
    """The offset of the statement of a script, and what takes its place; for another mutant its statements."""
    if not mutant.script:
        return 0, mutant.sql
    text, start = files.read(mutant.script.path), -1
    while (start := text.find(mutant.before, start + 1)) >= 0:
        rest = text[start + len(mutant.before) :]
        for end in (rest, rest.removeprefix(";")):
            if mutant.sql.startswith(text[:start]) and mutant.sql.endswith(end):
                return start, mutant.sql[start : len(mutant.sql) - len(end)]
    return 0, mutant.what
