"""A grid for a table that no test has a grid for: the key and the harmless update that a question needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import Connection

from rolecall.access.world import World, literal
from rolecall.catalog.objects import identifier, qualified
from rolecall.errors import RolecallError
from rolecall.grids.grid import COMMANDS, Grid, grid
from rolecall.init import shape
from rolecall.init.keys import CHANGED, key_of
from rolecall.init.shape import Column, Shape, Table


def untested_grid(connection: Connection[Any], world: World, table: str) -> Grid:
    """A grid of all rows and personas, without verdicts.

    Raises RolecallError if no columns tell the rows of the world apart.
    """
    schema = shape.read(connection)
    rows = {name: row for name, row in world.rows[table].items() if (table, name) not in world.missing}
    key = key_of(schema.tables.get(table), list(rows.values()))
    if not key:
        text = f"no columns tell the world's rows of {table} apart"
        raise RolecallError(f"{text}: write a grid of it with key=, or give each row a value of its own.")
    update = next(_updates(connection, schema, table, rows, key), "")
    empty = grid(table, "   ".join(COMMANDS), update=update or f"{identifier(key[0])} = {identifier(key[0])}", key=key)
    return empty.completed(world)


def _updates(
    connection: Connection[Any], schema: Shape, name: str, rows: Mapping[str, Mapping[str, Any]], key: Sequence[str]
) -> Iterator[str]:
    """Harmless SET clauses that the database accepts, the most harmless first."""
    table = schema.tables.get(name)
    if table is None:  # a view: any of its columns that is no key
        columns = [each for each in next(iter(rows.values())) if each not in key]
        yield from (f"{identifier(column)} = {identifier(column)}" for column in columns)
        return
    policies = " ".join(
        text for policy in schema.policies if policy.table == name for text in (policy.using, policy.check) if text
    )
    for column in sorted(table.columns.values(), key=lambda column: _harm(table, column, policies)):
        if column.is_fixed or column.name in key:
            continue
        existing = [row[column.name] for row in rows.values() if row.get(column.name) is not None]
        for value in [*filter(None, [CHANGED.get(column.category)]), *existing[:2]]:
            text = f"{identifier(column.name)} = {literal(value).as_string()}".replace("{", "{{").replace("}", "}}")
            if _is_accepted(connection, name, text):
                yield text
    for column in table.columns.values():
        if not column.is_fixed:
            yield f"{identifier(column.name)} = {identifier(column.name)}"


def _harm(table: Table, column: Column, policies: str) -> tuple[bool, ...]:
    """False comes first: a column that decides nothing, and that is easy to write."""
    unique = {name for names in table.unique.values() for name in names}
    return (
        column.name in unique or table.foreign_key_of(column.name) is not None,
        bool(re.search(rf"(?<!\w){re.escape(column.name)}(?!\w)", policies)),
        column.category not in CHANGED,
        column.name in ("created_at", "updated_at", "inserted_at"),
        column.category != "S",
    )


def _is_accepted(connection: Connection[Any], table: str, assignment: str) -> bool:
    text = assignment.replace("{{", "{").replace("}}", "}")
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(f"UPDATE {qualified(table)} SET {text}".encode())
    except psycopg.Error:
        return False
    return True
