"""Why a cell came out as it did: what ran, which grants and policies apply, and which let it through."""

from __future__ import annotations

import json
from typing import Any

import psycopg
from psycopg import Connection, sql

from rolecall.access.session import advisory_locks_released
from rolecall.access.world import World
from rolecall.catalog import objects
from rolecall.grids.grid import MEANING, Cell, Grid
from rolecall.grids.probe import Check, Outcome

THROUGH, STOPPED = "lets the row through", "stops the row"
PRIVILEGE = {"GET": "select", "POST": "insert", "PATCH": "update", "DELETE": "delete"}


def explain(
    connection: Connection[Any], grid: Grid, cell: Cell, world: World, tried: list[tuple[Check, Outcome]]
) -> str:
    """A paragraph for somebody who has not read the grid: who, what, expected, got, and why.

    ``connection`` is a superuser's; everything that is tried on it is undone.
    """
    persona = world.personas[cell.persona]
    expected = " / ".join(MEANING[word] for word in cell.expected.split("/"))
    lines = [
        f"{cell.persona}: {cell.command} on {cell.row!r} of {grid.table}",
        f"  written     {grid.path.name}:{cell.line}",
        f"  signed in   role {persona.role}, claims {json.dumps(dict(persona.claims))}",
        *([f"  and before  {persona.prepare(grid.table)}"] if persona.setup else []),
        f"  expected    {cell.expected:4} {expected}",
    ]
    for check, outcome in tried:
        if outcome.skipped or (check.representation and str(outcome) == str(tried[0][1])):
            continue
        lines += [f"  ran         {check.statement}{WAYS[check.blind, check.representation]}"]
        lines += [f"  got         {outcome.verdict or 'error':4} {outcome}"]
        if outcome.column_rows is not None:
            word = "yes " if outcome.column_rows else "-   "
            what = "reads" if check.method == "GET" else "writes"
            lines += [
                f"  and         {word} {what} single columns, granted one by one: {', '.join(outcome.columns or ())}"
            ]
    if not tried[0][1].broken:
        with advisory_locks_released(connection):
            lines += _why(connection, grid.table, tried)
    return "\n".join(lines)


WAYS = {
    (False, False): "",
    (True, False): "  (blind: aimed at the row, reading no column)",
    (False, True): "  (asks for the new row, as a client's insert().select() does)",
}


def _why(connection: Connection[Any], table: str, tried: list[tuple[Check, Outcome]]) -> list[str]:
    check = tried[0][0]
    with connection.transaction(force_rollback=True):
        for statement in check.before:
            connection.execute(statement.encode())
        role, lines = check.persona.role, []
        held = objects.privileges(connection, table, role)
        lines.append(f"  grants      {role} holds {', '.join(held) or 'nothing'} on {table}")
        lines += _policies(connection, table, check, PRIVILEGE[check.method])
        verdicts = [outcome.verdict for _, outcome in tried if not outcome.skipped]
        # An insert reads the row in one of its ways only: the SELECT policies decide where that one differs.
        if check.method != "GET" and (len(set(verdicts)) > 1 or (check.method != "POST" and verdicts[0] != "yes")):
            read = _policies(connection, table, check, "select")
            if any("stops" in line for line in read):
                what = "new row in return" if check.method == "POST" else "row in its WHERE"
                lines += [f"  reads       the {what}: the SELECT policies decide too", *read]
    return lines


def _policies(connection: Connection[Any], table: str, check: Check, command: str) -> list[str]:
    """A line for each policy that applies to a command, and one for what it decides alone."""
    policies = objects.policies(connection, table, command, check.persona.role)
    if not policies:
        return [f"  policy      none applies to {command} for {check.persona.role}"]
    decided = [(policy, _decides(connection, table, check, policy, command)) for policy in policies]
    return [f"  policy      {policy}\n              -> {decision}" for policy, decision in decided]


def _decides(connection: Connection[Any], table: str, check: Check, policy: objects.Policy, command: str) -> str:
    """What a policy decides alone, of the row as it stands and as an update leaves it."""
    # Without WITH CHECK, USING is what a new row is held against; a SELECT policy has no other.
    check_of_new_rows = policy.using if command == "select" else policy.check or policy.using
    if check.method == "POST":  # the row that makes room for itself still stands here
        return _alone(connection, table, check, check_of_new_rows, check.condition)
    decision = _alone(connection, table, check, policy.using, check.condition)
    if check.method == "PATCH" and decision == THROUGH:
        try:
            with connection.transaction(force_rollback=True):
                (place,) = connection.execute(
                    f"{check.statement} RETURNING tableoid::int8, ctid::text".encode()
                ).fetchall()
                new_row = "tableoid = {} AND ctid = '{}'".format(*place)
                if _alone(connection, table, check, check_of_new_rows, new_row) == STOPPED:
                    return f"{decision}, stops what it becomes"
        except psycopg.Error as error:
            return f"{decision}; what it becomes cannot be tried: {error.diag.message_primary}"
    return decision


def _alone(connection: Connection[Any], table: str, check: Check, predicate: str | None, where: str) -> str:
    """Whether a predicate, as the only policy of a table, lets through what stands there now."""
    if predicate is None:
        return "has no predicate for this"
    name = sql.Identifier(*table.split("."))
    try:
        with connection.transaction(force_rollback=True):
            for (other,) in connection.execute(
                "SELECT polname FROM pg_policy WHERE polrelid = %s::regclass", [objects.qualified(table)]
            ).fetchall():
                connection.execute(sql.SQL("DROP POLICY {} ON {}").format(sql.Identifier(other), name))
            connection.execute(
                sql.SQL("CREATE POLICY alone ON {} FOR SELECT USING ({})").format(name, sql.SQL(predicate))
            )
            connection.execute(sql.SQL("GRANT SELECT ON {} TO PUBLIC").format(name))
            for setting in check.persona.settings(check.method):
                connection.execute("SELECT set_config(%s, %s, true)", setting)
            query = sql.SQL("SELECT FROM {} WHERE {}").format(name, sql.SQL(where))
            return THROUGH if connection.execute(query).fetchall() else STOPPED
    except psycopg.Error as error:
        return f"cannot be tried alone: {error.diag.message_primary}"
