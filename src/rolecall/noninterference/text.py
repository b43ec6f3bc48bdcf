"""What a failed test of ``decided_by`` says."""

from __future__ import annotations

from collections.abc import Sequence

from rolecall.grids.grid import Grid
from rolecall.noninterference.changes import Change, TableChange, ValueChange
from rolecall.noninterference.experiment import Finding
from rolecall.noninterference.rows import Rows

ADVICE = "Fix the policy, trigger or function that reads it. If it may decide, add it to decided_by."
UNSHOWN = (
    "If it no longer decides, remove it. If it does, the world lacks a row that shows it: add one to the world, "
    "for which another value of it gives another verdict. A value that a constraint forbids is not tried: if one fixes "
    "all values of a column, leave the column out."
)


def findings_text(grid: Grid, findings: Sequence[Finding], rows: Rows, most: int) -> str:
    """A line for each finding, and what to do; empty without findings. ``most`` ends the search."""
    if not findings:
        return ""
    lines = [f"{_place(grid)}: access to {grid.table} depends on what decided_by does not name."]
    lines += [f"  {_finding(each, grid, rows)}" for each in findings]
    if len(findings) == most:
        lines.append("  and perhaps on more: the search ends here.")
    return "\n".join([*lines, ADVICE])


def undecided_text(grid: Grid, unshown: Sequence[str]) -> str:
    """A line for each entry that decides nothing, and what to do; empty without such entries."""
    if not unshown:
        return ""
    lines = [f"{_place(grid)}: decided_by names what does not decide about {grid.table}."]
    lines += [f"  {each}: no change of it changes a verdict of the grid" for each in unshown]
    return "\n".join([*lines, UNSHOWN])


def _place(grid: Grid) -> str:
    return f"{grid.path.name}:{grid.line}"


def _finding(finding: Finding, grid: Grid, rows: Rows) -> str:
    cell, before, after = finding.difference
    names = " and ".join(dict.fromkeys(change.what for change in finding.changes))
    changes = " and ".join(_change(change, grid, rows) for change in finding.changes)
    more = f" ({finding.cells - 1} more cells differ)" if finding.cells > 1 else ""
    return (
        f"access of {cell.persona} depends on {names}: with {changes}, "
        f"{cell.command} of {cell.row!r} is {after} instead of {before}{more}"
    )


def _change(change: Change, grid: Grid, rows: Rows) -> str:
    if isinstance(change, TableChange):
        return change.text
    if isinstance(change, ValueChange):
        of = "" if change.row.table == grid.table else f" in {change.row.name!r}"
        return f"{change.column} = {rows.value_name(change.value)}{of}"
    if change.kind == "method":
        return f"another {change.what} (HEAD for GET, PUT for POST and PATCH)"
    value = rows.value_name(change.value) if isinstance(change.value, str) else repr(change.value)
    return f"{change.what} = {value}"
