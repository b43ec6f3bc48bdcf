"""Measure the access map of a database: sign in as every persona and try every row, view and function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from psycopg import Connection

from rolecall.access.session import advisory_locks_released
from rolecall.access.world import World
from rolecall.access_map import objects
from rolecall.access_map.untested import Untested
from rolecall.database.rolled_back import rolled_back
from rolecall.errors import RolecallError
from rolecall.grids.grid import Grid
from rolecall.grids.outcomes import GridOutcomes
from rolecall.grids.probe import Check, Results
from rolecall.report.access import Access, AccessMap, Attempt, Granted, ObjectAccess
from rolecall.server.connection import ServerConnection

# A column, table, function or object that does not exist.
UNDEFINED = ("42703", "42P01", "42883", "42704")


def measure(connection: ServerConnection, world: World, grids: Iterable[Grid]) -> AccessMap:
    """The access of all personas of a world to the objects of a database.

    A table with a grid is tried as its grid says: each row, each command. Of others, rows are selected, and the
    privileges to write are tried with statements that change no row. The privileges to truncate a table and to call a
    function are looked up as the persona. ``connection`` is a superuser's, to a database that has the world; everything
    is rolled back. Grids whose table does not exist are left out. Raises RolecallError if a statement has a timeout.
    """
    by_table = _by_table(grids)
    found: dict[str, ObjectAccess] = {}
    with rolled_back(connection), advisory_locks_released(connection):
        untested = Untested(connection, world)
        for relation in objects.relations(connection, by_table):
            own = [grid for grid in by_table.get(relation.name, ()) if relation.name in world.rows]
            attempts = _with_grids(connection, world, own) if own else untested.relation(relation)
            if relation.kind == "table":
                attempts = {**attempts, **untested.truncate(relation)}
            found[relation.name] = ObjectAccess(relation.name, relation.kind, attempts)
        for name, attempts in untested.functions().items():
            found[name] = ObjectAccess(name, "function", attempts)
    return AccessMap({persona.name: persona.role for persona in world.personas.values()}, found)


def _by_table(grids: Iterable[Grid]) -> dict[str, list[Grid]]:
    tables: dict[str, list[Grid]] = {}
    for grid in grids:
        tables.setdefault(grid.table, []).append(grid)
    return tables


def _with_grids(connection: Connection[Any], world: World, grids: Iterable[Grid]) -> Mapping[Attempt, Granted]:
    """The attempts of the grids of one table. Two grids of one table may have the same cells: then the first counts."""
    attempts: dict[Attempt, dict[str, Access]] = {}
    for grid in grids:
        attempts = _with_grid(connection, world, grid) | attempts
    return attempts


def _with_grid(connection: Connection[Any], world: World, grid: Grid) -> dict[Attempt, dict[str, Access]]:
    """The attempts of one grid, without those that could be tried as nobody: an older schema may lack a column.

    Raises RolecallError after a timeout, and if an attempt could be tried as some personas only.
    """
    outcomes = GridOutcomes(connection, world, refusers=False)
    attempts: dict[Attempt, dict[str, Access]] = {}
    untried: dict[Attempt, dict[str, str]] = {}
    for cell, results in outcomes.results(grid):
        attempt = Attempt(cell.row, cell.command)
        granted = attempts.setdefault(attempt, {})
        if access := access_of(results):
            granted[cell.persona] = access
        elif problem := problem_of(results):
            untried.setdefault(attempt, {})[cell.persona] = problem
    if outcomes.timeout:
        raise RolecallError(f"the access to {grid.table} cannot be measured: {outcomes.timeout}")
    for attempt, problems in untried.items():
        if len(problems) == len(world.personas):
            del attempts[attempt]
            continue
        for name, problem in problems.items():
            persona = world.personas[name]
            # A role that does not exist has no access. A setup may be for a table that is not there yet.
            if _exists(connection, persona.role) and not persona.setup:
                what = f"{attempt.command} on {attempt.row!r} of {grid.table}"
                raise RolecallError(f"{what} cannot be tried as {name}, so who may do it is not known: {problem}")
    return attempts


def problem_of(results: Results) -> str:
    """Why a cell says nothing about access: the check itself failed, or its statement does not fit the schema."""
    outcomes = [outcome for _, outcome in results if not outcome.skipped]
    says = [outcome for outcome in outcomes if not outcome.broken and outcome.sqlstate not in UNDEFINED]
    return "" if says or not outcomes else str(outcomes[0])


def _exists(connection: Connection[Any], role: str) -> bool:
    return connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone() is not None


def access_of(results: Results) -> Access | None:
    """The access that the checks of one cell show; None without any."""
    tried = [(check, outcome) for check, outcome in results if not outcome.skipped]
    failed = [way(check) for check, outcome in tried if outcome.verdict != "yes"]
    if len(failed) < len(tried):
        return Access(without=tuple(failed))
    columns = next((outcome.columns for _, outcome in tried if outcome.column_rows), None)
    return Access(columns=tuple(columns)) if columns else None


def way(check: Check) -> str:
    """The way in which a check does its command, in words that follow "but not"."""
    if check.blind:
        return "without a condition"
    if check.representation:
        return "with RETURNING"
    if check.upsert:
        return "as an upsert"
    return "plainly" if check.method == "POST" else "with a condition"
