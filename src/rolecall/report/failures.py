"""The failures of a run as dataclasses, without their presentation: cells, and the grids and groups of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Attempt:
    """A statement that was tried for a cell, and its outcome.

    ``blind``: it reads no column. ``representation``: it returns the row that it writes. ``columns`` are the columns
    that are granted one by one if the table is refused, and ``column_rows`` the rows that they reached.
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
    """A policy that applies, and its decision as the table's only policy. ``policy`` is all of it, as text."""

    name: str
    permissive: bool
    policy: str
    decision: str


@dataclass(frozen=True)
class Decisions:
    """The policies that apply to a command of a role. Without any, nothing is allowed."""

    command: str
    role: str
    policies: Sequence[PolicyDecision]


@dataclass(frozen=True)
class Reason:
    """The reason for the outcome of a cell: privileges and policies.

    ``reads`` are the SELECT policies if a write also depends on them. ``reads_what`` is the row that they decide about.
    """

    role: str
    table: str
    privileges: Sequence[str]
    decisions: Decisions
    reads: Decisions | None = None
    reads_what: str = ""


@dataclass(frozen=True)
class CellFailure:
    """A cell whose outcome is not the expected one. ``reason`` is None if the check itself failed.

    ``got`` is the verdict as a grid has it, with ``error`` for what is none.
    """

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
    settings: Mapping[str, str] = field(default_factory=dict)
    got: str = ""


@dataclass(frozen=True)
class FailedCell:
    """A failed cell in a few words.

    ``kind`` is ``let in`` (the persona may do what it should not), ``refused`` (the opposite), ``other`` (refused in
    another way than expected) or ``broken`` (an error that is no refusal). ``causes`` are the policies, or a privilege.
    """

    kind: str
    table: str
    command: str
    persona: str
    causes: tuple[str, ...]


@dataclass(frozen=True)
class CellInGrid:
    """A failed cell with its line of the grid: enough to draw the line in a process that does not have the grid.

    ``test`` is the beginning of the ids of the grid's cells. ``file`` is relative, as in these ids; ``call`` is the
    line of the grid in it, and ``line`` that of the cell. ``number`` counts the cells of the grid, from 0. ``verdicts``
    are those that the grid has for the row and the persona, one for each of ``commands``.
    """

    test: str
    file: str
    table: str
    call: int
    cells: int
    number: int
    row: str
    command: str
    persona: str
    line: int
    got: str
    commands: Sequence[str]
    verdicts: Sequence[str]


@dataclass(frozen=True)
class Failure:
    """A test that failed. ``in_test`` is False if its setup or teardown failed, or if rolecall could not run it.

    ``in_grid`` is there for a cell that is a test of its own.
    """

    nodeid: str
    message: str
    text: str
    in_test: bool
    cell: FailedCell | None = None
    in_grid: CellInGrid | None = None


@dataclass(frozen=True)
class GridVerdict:
    """A cell of a grid that is drawn. ``kind`` is that of a failed cell, and empty for all others."""

    expected: str
    got: str
    kind: str = ""
    tried: bool = True


@dataclass(frozen=True)
class GridLine:
    """A line of a grid with a wrong cell. The personas have the same verdicts, and the same line in the file."""

    row: str
    personas: Sequence[str]
    line: int
    verdicts: Sequence[GridVerdict]


@dataclass(frozen=True)
class FailedGrid:
    """The wrong cells of a grid, with their lines.

    ``others`` is the number of personas without a wrong cell, by row. ``failures`` are the cells, the worst first.
    ``reasons`` are the causes of all but the worst: a kind, and the cells that fail so for one cause.
    """

    test: str
    file: str
    line: int
    table: str
    cells: int
    commands: Sequence[str]
    lines: Sequence[GridLine]
    others: Mapping[str, int]
    failures: Sequence[Failure]
    reasons: Sequence[tuple[str, FailureGroup]]


@dataclass(frozen=True)
class FailureGroup:
    """Failures with one cause. ``subject`` names it; ``details`` is the rest of its line."""

    subject: str
    details: str
    failures: Sequence[Failure]


@dataclass(frozen=True)
class DigestSection:
    """All failures of one kind: a title, and the groups, the largest first."""

    title: str
    groups: Sequence[FailureGroup]
