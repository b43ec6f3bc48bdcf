"""What the digest needs of a failed test. A worker finds it, and sends it to the first process with pytest's report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import pytest

from rolecall.digest.tally import test_of
from rolecall.errors import RolecallError
from rolecall.grids.explain import ADMITTED, STOPPED, STOPPED_AFTERWARDS
from rolecall.item import CellError, CellItem, EarlierGridError
from rolecall.report.failures import Attempt, CellFailure, CellInGrid, FailedCell, Failure

# From the worst to the least: who sees too much, then what could not be tried, then who sees too little.
KINDS = ("let in", "broken", "refused", "other")
ATTRIBUTE = "rolecall_failure"  # of a report; pytest sends it between processes as JSON
NO_POLICY = ("no policy: row-level security is off, or the role bypasses it",)
PRIVILEGES = {"select": "SELECT", "insert": "INSERT", "delete": "DELETE"}  # every other command is an UPDATE


def attach(report: pytest.TestReport, item: pytest.Item, error: BaseException | None) -> None:
    """Add to the report of a failed test what the digest needs of ``error``, and of the cell that it is."""
    worst = min(map(failed_cell, cells_of(error)), key=lambda cell: KINDS.index(cell.kind), default=None)
    cell = asdict(worst) if worst else None
    in_test = report.when == "call" and not isinstance(error, RolecallError)
    place = None
    if isinstance(error, CellError) and isinstance(item, CellItem):
        place = asdict(in_grid(item, error.failure.got))
    setattr(report, ATTRIBUTE, {"cell": cell, "in_test": in_test, "in_grid": place})


def in_grid(item: CellItem, got: str) -> CellInGrid:
    """The place of a failed cell in its grid."""
    grid, cell = item.grid, item.cell
    of_line = [each for each in grid.cells if (each.row, each.persona) == (cell.row, cell.persona)]
    verdicts = {each.command: each.expected for each in of_line}
    return CellInGrid(
        test=test_of(item),
        file=item.nodeid.partition("::")[0],
        table=grid.table,
        call=grid.line,
        cells=len(grid.cells),
        number=grid.cells.index(cell),
        row=cell.row,
        command=cell.command,
        persona=cell.persona,
        line=cell.line,
        got=got,
        commands=grid.commands,
        verdicts=[verdicts[command] for command in grid.commands],
    )


def read(report: Any) -> Failure | None:
    """The failure of a report, or None for a test that does not use rolecall."""
    attached: dict[str, Any] | None = getattr(report, ATTRIBUTE, None)
    if attached is None:
        return None
    cell, place = attached["cell"], attached["in_grid"]
    return Failure(
        nodeid=report.nodeid,
        message=_message(report),
        text=text_of(report),
        in_test=attached["in_test"],
        cell=FailedCell(**cell | {"causes": tuple(cell["causes"])}) if cell else None,
        in_grid=CellInGrid(**place) if place else None,
    )


def text_of(report: Any) -> str:
    """The whole explanation. ``longreprtext`` would put the name of xdist's worker above a text."""
    return report.longrepr if isinstance(report.longrepr, str) else str(report.longreprtext)


def _message(report: pytest.TestReport) -> str:
    """The error without its traceback."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash else text_of(report)).strip()


# ------------------------------------------------------------------ cells


def failed_cell(failure: CellFailure) -> FailedCell:
    """The kind of a cell's failure, and what causes it: policies, or a privilege."""
    kind = _kind(failure)
    return FailedCell(kind, failure.table, failure.command, failure.persona, _causes(failure, kind))


def _kind(failure: CellFailure) -> str:
    verdicts = [*(attempt.verdict for attempt in failure.attempts), *map(_column_verdict, failure.attempts)]
    expected_yes, expected_no = _yes_and_no(failure.expected.split("/"))
    is_yes, is_no = _yes_and_no(filter(None, verdicts))
    if failure.reason is None or "error" in verdicts:
        return "broken"
    if is_yes and (not expected_yes or (expected_no and not is_no)):
        return "let in"
    if expected_yes and (not is_yes or (is_no and not expected_no)):
        return "refused"
    return "other"


def _column_verdict(attempt: Attempt) -> str:
    return "" if attempt.column_rows is None else "yes" if attempt.column_rows else "-"


def _yes_and_no(words: Iterable[str]) -> tuple[bool, bool]:
    """Whether one of the words of a verdict allows, and whether one does not."""
    allowed = {word == "yes" for word in words}
    return True in allowed, False in allowed


def cells_of(error: BaseException | None) -> Sequence[CellFailure]:
    """The cells that an error of a test is about; none for an error of another test."""
    if isinstance(error, EarlierGridError):
        return error.failures
    return [error.failure] if isinstance(error, CellError) else []


def _causes(failure: CellFailure, kind: str) -> tuple[str, ...]:
    errors = [attempt.outcome for attempt in failure.attempts if failure.reason is None or attempt.verdict == "error"]
    if errors:  # what the policies say of the row does not matter
        return (errors[0].splitlines()[0],)
    if kind != "let in" and (privilege := missing_privilege(failure)):
        return (f"no {privilege} privilege",)
    policies = tuple(f'policy "{name}"' for name in deciding_policies(failure, kind))
    return policies or (NO_POLICY if kind == "let in" else ("no policy applies",))


def missing_privilege(failure: CellFailure) -> str:
    """The privilege on the table that the command of a cell needs, and the role does not hold; empty if it does."""
    privilege = PRIVILEGES.get(failure.command, "UPDATE")
    return "" if failure.reason is None or privilege in failure.reason.privileges else privilege


def deciding_policies(failure: CellFailure, kind: str) -> list[str]:
    """The names of the policies that let the persona in, or of those that stop it."""
    reason = failure.reason
    if reason is None:
        return []
    policies = [*reason.decisions.policies, *(reason.reads.policies if reason.reads else ())]
    if kind == "let in":
        found = [each for each in policies if each.permissive and each.decision.startswith(ADMITTED)]
    else:
        is_refused = any(attempt.verdict == "!" for attempt in failure.attempts)
        stops = (STOPPED, STOPPED_AFTERWARDS) if is_refused else (STOPPED,)
        found = [each for each in policies if any(words in each.decision for words in stops)]
    return list(dict.fromkeys(each.name for each in found))
