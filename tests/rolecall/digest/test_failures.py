"""The kind and the causes of a failed cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from rolecall.digest.failures import NO_POLICY, failed_cell
from rolecall.report.failures import Attempt, CellFailure, Decisions, PolicyDecision, Reason


def cell(
    expected: str,
    *verdicts: str,
    column_rows: int | None = None,
    policies: tuple[PolicyDecision, ...] = (),
    privileges: tuple[str, ...] = ("SELECT",),
    broken: bool = False,
) -> CellFailure:
    """A failed `select` of alice."""
    attempts = [Attempt("SELECT", verdict, f"got {verdict}", False) for verdict in verdicts]
    attempts[0] = Attempt("SELECT", verdicts[0], f"got {verdicts[0]}\nmore", False, column_rows=column_rows)
    reason = None if broken else Reason("member", "notes", privileges, Decisions("select", "member", policies))
    return CellFailure(
        "notes", "row", "select", "alice", Path("t.py"), 1, "member", {}, "", expected, "", attempts, reason
    )


def policy(name: str, decision: str, *, permissive: bool = True) -> PolicyDecision:
    return PolicyDecision(name, permissive, f'"{name}" ({permissive})', decision)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (cell("-", "yes"), "let in"),
        (cell("!", "yes"), "let in"),
        (cell("!", "!", column_rows=1), "let in"),
        (cell("-/yes", "yes", "yes"), "let in"),
        (cell("yes", "-"), "refused"),
        (cell("yes", "!"), "refused"),
        (cell("!/yes", "!", column_rows=0), "refused"),
        (cell("yes", "yes", "-"), "refused"),
        (cell("!", "-"), "other"),
        (cell("-", "!"), "other"),
        (cell("yes/-", "-", "yes"), "other"),
        (cell("-", "error"), "broken"),
        (cell("yes", "yes", "error"), "broken"),
        (cell("yes", "error", broken=True), "broken"),
    ],
)
def test_kind(failure: CellFailure, kind: str) -> None:
    assert failed_cell(failure).kind == kind


LETS, STOPS = "lets the row through", "stops the row"


@pytest.mark.parametrize(
    ("failure", "causes"),
    [
        (cell("-", "yes", policies=(policy("own", STOPS), policy("all", LETS))), ('policy "all"',)),
        (
            cell("-", "yes", policies=(policy("all", LETS), policy("not anon", LETS, permissive=False))),
            ('policy "all"',),
        ),
        (cell("-", "yes"), NO_POLICY),
        (cell("yes", "!", privileges=()), ("no SELECT privilege",)),
        (cell("yes", "-", policies=(policy("own", STOPS), policy("all", LETS))), ('policy "own"',)),
        (cell("yes", "-", policies=(policy("own", f"{LETS}, stops the updated row"),)), ("no policy applies",)),
        (cell("yes", "-"), ("no policy applies",)),
        (cell("yes", "!", policies=(policy("own", f"{LETS}, stops the updated row"),)), ('policy "own"',)),
        (cell("yes", "error", broken=True), ("got error",)),
        (cell("yes", "error", policies=(policy("own", "cannot be tested alone: no"),)), ("got error",)),
        (cell("yes", "yes", "error"), ("got error",)),
    ],
)
def test_causes(failure: CellFailure, causes: tuple[str, ...]) -> None:
    assert failed_cell(failure).causes == causes
