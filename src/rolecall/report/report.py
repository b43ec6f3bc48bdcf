"""The report of a project: one object from which the page, the JSON and all other renderers are made.

:func:`as_json` writes it; ``report.schema.json`` beside this module is its schema. Every place in a file is relative to
the project. Nothing in it is HTML or Markdown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rolecall.report.results import CoverageCount, MutationScore, Survivor

FORMAT = 1  # of the JSON; a change that a reader must know of increases it


@dataclass(frozen=True)
class Place:
    """A line of a file of the project. An empty ``file``: the place is not known."""

    file: str = ""
    line: int = 0


@dataclass(frozen=True)
class ReportedPersona:
    """A persona: a role, and the claims and settings of its requests. ``setup`` is SQL that runs before it acts."""

    name: str
    role: str
    claims: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    setup: str = ""


@dataclass(frozen=True)
class ReportedCommand:
    """One command on one row, tried as every persona.

    ``INSERT``, ``UPDATE`` and ``DELETE`` in capitals are the privileges on an object without a grid: they were tried
    with a statement that changes no row, so a policy may still refuse every row. ``call`` is the privilege on a
    function.
    ``row`` is empty for a function and for no particular row. ``statement`` is one that was tried; ``{…}`` is never in
    it. ``verdicts`` has a verdict for each persona, in the order of the report: the words of a grid (``yes``, ``-``,
    ``!``, ``yes/!`` …). ``details`` has what an outcome says besides, by persona: an error, or the columns.
    ``lines`` are those of the cells in the file of the grid, in the same order; empty without a grid. ``expected`` has
    what the grid says, where it differs.
    """

    row: str
    command: str
    statement: str
    verdicts: Sequence[str]
    details: Mapping[str, str] = field(default_factory=dict)
    lines: Sequence[int] = ()
    expected: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportedPolicy:
    """A policy. ``admits`` has the rows that it lets through alone, by persona; ``admits_new`` those as new rows.

    A persona that the policy does not apply to is in neither.
    """

    name: str
    permissive: bool
    command: str
    roles: Sequence[str]
    using: str | None
    check: str | None
    place: Place
    admits: Mapping[str, Sequence[str]] = field(default_factory=dict)
    admits_new: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportedColumn:
    """A column, and the roles of personas that hold a privilege on it (also as one on the whole table)."""

    name: str
    type: str
    select: Sequence[str]
    insert: Sequence[str]
    update: Sequence[str]


@dataclass(frozen=True)
class ReportedObject:
    """A table, view or function. ``test`` is the id of the grid, and empty without one.

    ``privileges`` are those of each role of a persona on the whole object. ``decided_by`` is what the grid says that
    access depends on; ``depends_on`` are the tables, views and functions that the object or its policies use.
    ``definition`` is the query of a view or the text of a function.
    """

    name: str
    kind: str
    place: Place
    phase: int
    row_security: bool
    commands: Sequence[ReportedCommand]
    policies: Sequence[ReportedPolicy] = ()
    privileges: Mapping[str, Sequence[str]] = field(default_factory=dict)
    columns: Sequence[ReportedColumn] = ()
    triggers: Sequence[str] = ()
    decided_by: Sequence[str] = ()
    depends_on: Sequence[str] = ()
    test: str = ""
    test_place: Place = Place()
    definition: str = ""


@dataclass(frozen=True)
class ReportedFailure:
    """A failed test: its id, what it says, and the object, row, command and persona if it is a cell of a grid.

    ``kind`` is ``let in``, ``refused``, ``broken`` or ``other``, as in the digest; ``untested`` for an object that no
    test tries; empty for a test that tries no cell. ``place`` is where the reason is: the policy in the SQL, or the
    test if that is not known. ``causes`` are the policies, or the privilege that is missing. A test of a whole grid is
    one failure for each of its cells.
    """

    test: str
    text: str
    place: Place
    kind: str = ""
    object: str = ""
    row: str = ""
    command: str = ""
    persona: str = ""
    expected: str = ""
    got: str = ""
    test_place: Place = Place()
    causes: Sequence[str] = ()


@dataclass(frozen=True)
class ReportedStep:
    """A script of a phase: the seconds that it took, and the locks that it held at its end (mode by table)."""

    file: str
    seconds: float
    locks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportedPhase:
    """A phase. ``made`` are the objects that its steps added; ``left`` is what its rollback did not take away.

    ``rollback`` is None without a script for it. ``problem`` is the error of the script that verifies the phase or
    rolls it back.
    """

    number: int
    title: str
    steps: Sequence[ReportedStep]
    made: Sequence[str]
    rollback: ReportedStep | None = None
    left: Sequence[str] = ()
    verified: bool = False
    problem: str = ""


@dataclass(frozen=True)
class ReportedFinding:
    """A defect that a file puts back, and the tests that notice it."""

    name: str
    title: str
    place: Place
    caught_by: Sequence[str]


@dataclass(frozen=True)
class ReportedTests:
    """The last run: how many tests had each outcome, the seconds, and what failed."""

    outcomes: Mapping[str, int]
    seconds: float
    failures: Sequence[ReportedFailure] = ()


@dataclass(frozen=True)
class ReportedRun:
    """Everything that a run of the tests knows by itself: ``run.json`` of ``--rolecall-report``.

    ``complete`` is False if the run was interrupted, so that tests are missing.
    """

    rolecall: str
    server: str
    default_privileges: str
    seed: int
    tests: ReportedTests
    coverage: Sequence[CoverageCount] = ()
    complete: bool = True
    format: int = FORMAT


@dataclass(frozen=True)
class ReportedMutants:
    """The last mutation testing. ``stryker`` is its report in the schema of Stryker."""

    score: MutationScore
    survivors: Sequence[Survivor]
    stryker: Mapping[str, Any]


@dataclass(frozen=True)
class Report:
    """The whole report. What was not measured is empty or None."""

    project: str
    rolecall: str
    server: str
    default_privileges: str
    seed: int
    personas: Sequence[ReportedPersona]
    objects: Sequence[ReportedObject]
    tests: ReportedTests | None = None
    coverage: Sequence[CoverageCount] = ()
    phases: Sequence[ReportedPhase] = ()
    findings: Sequence[ReportedFinding] = ()
    mutants: ReportedMutants | None = None
    drift: Mapping[str, Any] | None = None
    changes: Mapping[str, Any] | None = None  # the difference of two access maps, as `rolecall diff` writes it
    format: int = FORMAT


def as_json(report: Report | ReportedRun) -> str:
    """The report, or that of a run, as JSON."""
    return json.dumps(asdict(report), ensure_ascii=False, separators=(",", ":"))
