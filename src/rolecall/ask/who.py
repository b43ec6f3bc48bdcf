"""Who can do a command with an object: every persona, row by row. The question of ``explain`` the other way round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rolecall.ask.answer import Row, Who
from rolecall.ask.functions import explain_function
from rolecall.ask.project import EXECUTE, Project, Tested
from rolecall.ask.whole import NO_ROW, explain_whole
from rolecall.grids.outcomes import GridOutcomes
from rolecall.grids.verdicts import verdict


def who_of_rows(project: Project, tested: Tested, command: str, row: str | None) -> Who:
    """Who can do a command with the rows of a table, or with one of them."""
    grid = tested.grid
    rows = [project.row(grid.table, row)] if row is not None else list(grid.rows)
    cells = [cell for cell in grid.cells if cell.command == command and cell.row in rows]
    words: dict[str, dict[str, str]] = {}
    statement = ""
    outcomes = GridOutcomes(project.connection, project.world)
    for cell, results in outcomes.results(replace(grid, cells=tuple(cells))):
        statement = statement or results[0][0].statement
        words.setdefault(cell.row, {})[cell.persona] = verdict(results, cell.expected)
    ordered = {name: words[name] for name in rows if name in words}
    kind = project.relation(grid.table).kind
    return Who(grid.table, kind, command, statement, [_row(name, found, project) for name, found in ordered.items()])


def who_of_whole(project: Project, name: str, command: str) -> Who:
    """Who can do a command with a table or view of which the world has no row."""
    answers = {persona: explain_whole(project, name, command, persona) for persona in project.world.personas}
    statement = next((each.attempts[0].statement for each in answers.values()), "")
    words = {persona: each.verdict for persona, each in answers.items()}
    is_empty = any(cause.text == NO_ROW.format(name) for each in answers.values() for cause in each.decides)
    notes = [f"{NO_ROW.format(name)}: - says only that nothing is refused"] if is_empty else []
    return Who(name, project.relation(name).kind, command, statement, [_row("", words, project)], notes)


def who_of_function(project: Project, name: str, arguments: str | None) -> list[Who]:
    """Who can call a function: one for each function of the name."""
    found: dict[str, dict[str, str]] = {}
    statements: dict[str, str] = {}
    for persona in project.world.personas:
        for each in explain_function(project, name, arguments, persona):
            may_call = each.verdict == "!" or any(
                cause.text.startswith(f"{each.role} may call") for cause in each.decides
            )
            word = f"yes, then {each.verdict}" if may_call and each.verdict not in ("yes", "!") else each.verdict
            found.setdefault(each.object, {})[persona] = word
            statements[each.object] = each.attempts[0].statement
    return [
        Who(signature, "function", EXECUTE, statements[signature], [_row("", words, project)])
        for signature, words in found.items()
    ]


def _row(name: str, words: Mapping[str, str], project: Project) -> Row:
    ordered = {persona: words[persona] for persona in project.world.personas if persona in words}
    can = {persona: word for persona, word in ordered.items() if "yes" in word.replace(",", "/").split("/")}
    return Row(name, can, {persona: word for persona, word in ordered.items() if persona not in can})
