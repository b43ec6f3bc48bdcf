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
from rolecall.grids.explain import Results
from rolecall.grids.grid import Grid
from rolecall.grids.outcomes import GridOutcomes
from rolecall.grids.probe import Check
from rolecall.report.access import Access, AccessMap, Attempt, Granted, ObjectAccess


def measure(connection: Connection[Any], world: World, grids: Iterable[Grid]) -> AccessMap:
    """The access of all personas of a world to the objects of a database.

    A table with a grid is tried as its grid says: each row, each command. Of others, rows are selected, and the
    privileges to write are tried with statements that change no row. The privileges to truncate a table and to call a
    function are looked up as the persona. ``connection`` is a superuser's, to a database that has the world; everything
    is rolled back. Grids whose table does not exist are left out.
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
        own: dict[Attempt, dict[str, Access]] = {}
        for cell, results in GridOutcomes(connection, world, refusers=False).results(grid):
            granted = own.setdefault(Attempt(cell.row, cell.command), {})
            if access := access_of(results):
                granted[cell.persona] = access
        attempts = own | attempts
    return attempts


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
