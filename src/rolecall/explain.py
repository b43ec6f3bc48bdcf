"""Why a cell came out as it did: what ran, which grants and policies apply, and which let it through."""

from __future__ import annotations

import json
from typing import Any

import psycopg
from psycopg import Connection, sql

from rolecall import catalog
from rolecall.grid import MEANING, Cell, Grid
from rolecall.probe import Check, Outcome
from rolecall.world import World

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
        way = "  (blind: aimed at the row, reading no column)" if check.blind else ""
        lines += [
            f"  ran         {check.statement}{way}",
            f"  got         {outcome.verdict(grid.table) or 'error':4} {outcome}",
        ]
    if not tried[0][1].broken:
        lines += _why(connection, grid.table, tried[0][0])
    return "\n".join(lines)


def _why(connection: Connection[Any], table: str, check: Check) -> list[str]:
    command, lines = PRIVILEGE[check.method], []
    with connection.transaction(force_rollback=True):
        for statement in check.before:
            connection.execute(statement.encode())
        held = catalog.privileges(connection, table, check.persona.role)
        lines.append(f"  grants      {check.persona.role} holds {', '.join(held) or 'nothing'} on {table}")
        policies = catalog.policies(connection, table, command, check.persona.role)
        for policy in policies:
            lines.append(f"  policy      {policy}\n              -> {_let_through(connection, table, check, policy)}")
        if not policies:
            lines.append(f"  policy      none applies to {command} for {check.persona.role}")
    return lines


def _let_through(connection: Connection[Any], table: str, check: Check, policy: catalog.Policy) -> str:
    """Try one policy alone: every other is dropped, and its predicate decides what can be read."""
    check_of_new_rows = policy.check or policy.using  # without WITH CHECK, USING is what they are held against
    if check.method == "POST":  # the row that makes room for itself still stands here
        return _alone(connection, table, check, check_of_new_rows, (check.room or "").rpartition(" WHERE ")[2])
    said = _alone(connection, table, check, policy.using, check.statement.rpartition(" WHERE ")[2])
    if check.method == "PATCH" and said == THROUGH:
        try:
            with connection.transaction(force_rollback=True):
                (row,) = connection.execute(f"{check.statement} RETURNING ctid::text".encode()).fetchall()
                if _alone(connection, table, check, check_of_new_rows, f"ctid = '{row[0]}'") == STOPPED:
                    return f"{said}, stops what it becomes"
        except psycopg.Error as error:
            return f"{said}; what it becomes cannot be tried: {error.diag.message_primary}"
    return said


def _alone(connection: Connection[Any], table: str, check: Check, predicate: str | None, where: str) -> str:
    """Whether a predicate, as the only policy of a table, lets through what stands there now."""
    if predicate is None:
        return "has no predicate for this"
    name = sql.Identifier(*table.split("."))
    try:
        with connection.transaction(force_rollback=True):
            for (other,) in connection.execute(
                "SELECT polname FROM pg_policy WHERE polrelid = %s::regclass", [table]
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
