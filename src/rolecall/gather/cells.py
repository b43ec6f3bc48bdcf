"""What a report says of a failed cell, and where the SQL decides it. A worker sends the cell with pytest's report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pytest

from rolecall.catalog.places import Places
from rolecall.digest.failures import cells_of, deciding_policies, failed_cell, missing_privilege
from rolecall.report.failures import CellFailure
from rolecall.report.report import Place

ATTRIBUTE = "rolecall_cells"  # of a report; pytest sends it between processes as JSON


@dataclass(frozen=True)
class DecidedCell:
    """A failed cell, and what decided it: ``policies`` by name, or a ``privilege`` that ``role`` does not hold."""

    kind: str
    table: str
    row: str
    command: str
    persona: str
    role: str
    expected: str
    got: str
    line: int
    causes: Sequence[str]
    policies: Sequence[str]
    privilege: str


def attach(report: pytest.TestReport, error: BaseException | None) -> None:
    """Add to the report of a failed test the cells that its error is about."""
    if cells := [asdict(_decided(failure)) for failure in cells_of(error)]:
        setattr(report, ATTRIBUTE, cells)


def read(report: Any) -> list[DecidedCell]:
    """The cells that a report has."""
    return [DecidedCell(**cell) for cell in getattr(report, ATTRIBUTE, [])]


def _decided(failure: CellFailure) -> DecidedCell:
    cell = failed_cell(failure)
    return DecidedCell(
        kind=cell.kind,
        table=failure.table,
        row=failure.row,
        command=failure.command,
        persona=failure.persona,
        role=failure.role,
        expected=failure.expected,
        got=failure.got,
        line=failure.line,
        causes=cell.causes,
        policies=deciding_policies(failure, cell.kind),
        privilege="" if cell.kind == "let in" else missing_privilege(failure),
    )


def place_of(cell: DecidedCell, places: Places) -> Place:
    """The line of the SQL that lets the persona in, or that stops it; without a file if that is not known.

    It is a policy; without one, the statement about row-level security of the table, or the one that makes the table
    or view. A privilege that is missing is where it was taken away, or the table. An error has no place: it is no
    decision.
    """
    if cell.kind == "broken":
        return Place()
    for name in cell.policies:
        if (place := places.find("policy", name, cell.table)).file:
            return place
    of_table = places.find("table", cell.table)
    if cell.privilege:
        revoked = places.revoke(cell.table, cell.privilege, [cell.role])
        return revoked if revoked.file else of_table
    security = places.find("row security", cell.table)
    return security if security.file else of_table
