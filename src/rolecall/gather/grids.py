"""A grid in a report: each command on each row, with what every persona got."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rolecall.access.world import World
from rolecall.access_map.measure import way
from rolecall.grids.grid import Cell, Grid
from rolecall.grids.probe import Check, Outcome, Results
from rolecall.grids.verdicts import VERDICTS, verdict
from rolecall.report.report import ReportedCommand

NOT_DECIDED = "the grid has a question mark here: nobody has decided this yet"
Tried = Mapping[Cell, Results]


def commands(grid: Grid, tried: Tried, world: World) -> list[ReportedCommand]:
    """The commands of a grid, by row. ``tried`` has the checks of its cells and their outcomes."""
    cells: dict[tuple[str, str], dict[str, Cell]] = {}
    for cell in grid.cells:
        cells.setdefault((cell.row, cell.command), {})[cell.persona] = cell
    return [
        _command(grid, row, command, cells[row, command], tried, world)
        for row in grid.rows
        for command in grid.commands
        if (row, command) in cells
    ]


def _command(
    grid: Grid, row: str, command: str, cells: Mapping[str, Cell], tried: Tried, world: World
) -> ReportedCommand:
    verdicts: list[str] = []
    details: dict[str, str] = {}
    expected: dict[str, str] = {}
    statement = ""
    for persona in world.personas:
        cell = cells[persona]
        results = tried.get(cell, [])
        statement = statement or (results[0][0].statement if results else "")
        got = verdict(results, cell.expected) if results else ""
        verdicts.append(got)
        notes = _notes(results, got) if results else [world.problem(grid.table, row)]
        if text := "; ".join(notes + ([] if cell.decided else [NOT_DECIDED])):
            details[persona] = text
        if cell.expected and got != cell.expected:
            expected[persona] = cell.expected
    lines = [cells[persona].line for persona in world.personas]
    return ReportedCommand(row, command, statement, verdicts, details, lines, expected)


def _notes(results: Results, got: str) -> list[str]:
    """What the outcomes say besides a plain verdict: by the way in which the command was tried."""
    if got in VERDICTS:
        return []
    return [_note(check, outcome) for check, outcome in results if not outcome.skipped]


def _note(check: Check, outcome: Outcome) -> str:
    how = "" if check.method == "GET" else f" {way(check)}"
    text = f"{outcome.word}{how}: {outcome}"
    if outcome.columns:
        text += f"; only {', '.join(outcome.columns)}: {outcome.column_rows or 'no'} row"
    return text


def before(tried: Tried) -> dict[str, Sequence[str]]:
    """The statements that run before each persona of a grid acts: the settings of the grid, and its own setup."""
    return {cell.persona: results[0][0].before for cell, results in tried.items()}
