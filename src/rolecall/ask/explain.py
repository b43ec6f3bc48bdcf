"""What happens if a persona sends a command to a row of a table or view, what decides, and what would change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rolecall.access.session import advisory_locks_released
from rolecall.ask.answer import Answer, Cause
from rolecall.ask.causes import Causes, Facts, read_facts
from rolecall.ask.project import Project, Tested
from rolecall.ask.suggestions import suggestions
from rolecall.errors import RolecallError
from rolecall.grids.explain import explain as explain_cell
from rolecall.grids.grid import Cell
from rolecall.grids.outcomes import GridOutcomes
from rolecall.grids.probe import Check, Results
from rolecall.grids.refusal import attempt
from rolecall.grids.verdicts import meaning
from rolecall.report.failures import CellFailure

NO_UPDATE = "no grid names an update of this table, so the question chose one: {}"


def explain_rows(
    project: Project, tested: Tested, command: str, persona: str, *, row: str | None = None, expected: str | None = None
) -> list[Answer]:
    """An answer for one row of the grid's table, or for all of them.

    ``expected`` is what the user says, in place of the grid. Raises RolecallError for a row that cannot be tried.
    """
    cells = cells_of(project, tested, command, persona, row=row, expected=expected)
    return [explain_one(project, tested, cell) for cell in cells]


def cells_of(
    project: Project, tested: Tested, command: str, persona: str, *, row: str | None, expected: str | None
) -> list[Cell]:
    """The cells that a question is about."""
    table = tested.grid.table
    rows = (
        [project.row(table, row)]
        if row is not None
        else [each for each in tested.grid.rows if _is_present(project, table, each)]
    )
    if not rows:
        raise RolecallError(f"the world has no row of {table} that could be loaded.")
    found = {cell.row: cell for cell in tested.grid.cells if (cell.command, cell.persona) == (command, persona)}
    cells = [found.get(each) or Cell(each, command, persona, "", tested.grid.line) for each in rows]
    return [replace(cell, expected=expected) for cell in cells] if expected else cells


def _is_present(project: Project, table: str, row: str) -> bool:
    return (table, row) not in project.world.missing


def explain_one(project: Project, tested: Tested, cell: Cell) -> Answer:
    """The answer for one cell, in the current state of the database."""
    connection, world, grid = project.connection, project.world, tested.grid
    results = GridOutcomes(connection, world).try_cell(grid, cell)
    failure = explain_cell(connection, grid, cell, world, results)
    persona = world.personas[cell.persona]
    first = results[0][0]
    with connection.transaction(force_rollback=True):
        for statement in first.before:
            connection.execute(statement.encode())
        facts = read_facts(connection, grid.table, persona.role)
    decides = _decides(project, facts, failure, results)
    notes = [NO_UPDATE.format(grid.update)] if not tested.test and cell.command == "update" else []
    return Answer(
        object=grid.table,
        kind=facts.relation.kind,
        row=cell.row,
        command=cell.command,
        persona=cell.persona,
        role=persona.role,
        claims=failure.claims,
        settings=failure.settings,
        setup=failure.setup,
        verdict=failure.got,
        meaning=words_of(failure.got),
        attempts=failure.attempts,
        grants=grants_of(facts),
        policies=failure.reason.decisions.policies if failure.reason and facts.is_bound else (),
        reads=failure.reason.reads.policies if failure.reason and failure.reason.reads and facts.is_bound else (),
        decides=decides,
        change=suggestions(facts, cell.privilege, decides, failure.reason),
        expected=failure.expected if tested.test or failure.expected else "",
        test=tested.test,
        place=f"{grid.path.name}:{cell.line}" if tested.test else "",
        notes=notes,
    )


def words_of(verdict: str) -> str:
    """A verdict in words, also one that is an error."""
    return meaning(verdict).replace("fails with SQLSTATE error", "fails with another error")


def _decides(project: Project, facts: Facts, failure: CellFailure, results: Results) -> list[Cause]:
    """The causes of each outcome of a cell; one way after the other if they differ."""
    if failure.reason is None:
        return [Cause("check", "", f"the statement was not tried: {results[0][1].broken}")]
    connection = project.connection
    causes = Causes(connection, facts, failure.reason, project.places)
    found: dict[tuple[Cause, ...], str] = {}
    tried = [(check, outcome) for check, outcome in results if not outcome.skipped]
    differ = len({outcome.word for _, outcome in tried}) > 1
    for check, outcome in tried if differ else tried[:1]:
        with advisory_locks_released(connection):
            error = attempt(connection, check) if outcome.sqlstate else None
        with connection.transaction(force_rollback=True):
            for statement in check.before:
                connection.execute(statement.encode())
            key = tuple(causes.of(check, outcome, error))
        found[key] = ", ".join(filter(None, [found.get(key, ""), _way(check)]))
    one_way = len(found) == 1
    return [replace(cause, way="" if one_way else way) for key, way in found.items() for cause in key]


def _way(check: Check) -> str:
    """The way of a write, in words."""
    if check.upsert:
        return "as an upsert"
    if check.representation:
        return "with RETURNING"
    if check.method == "POST":
        return "without RETURNING"
    return "without reading a column" if check.blind else "with WHERE"


def grants_of(facts: Facts) -> Sequence[str]:
    """The privileges, one text for each grantee."""
    by_grantee: dict[str, list[str]] = {}
    for each in facts.held:
        by_grantee.setdefault(each.grantee, []).append(str(each))
    return [f"{', '.join(privileges)} ({_to(grantee, facts)})" for grantee, privileges in by_grantee.items()]


def _to(grantee: str, facts: Facts) -> str:
    return "as the owner" if grantee == facts.relation.owner else f"granted to {grantee}"
