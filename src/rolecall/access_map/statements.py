"""A statement for each attempt of an access map: what a reader can run to see it."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg import sql

from rolecall.access.world import World
from rolecall.catalog.objects import qualified
from rolecall.grids.grid import Grid
from rolecall.report.access import CALL, SELECT, TRUNCATE, AccessMap, Attempt, ObjectAccess


def statements(world: World, grids: Iterable[Grid], access: AccessMap) -> dict[str, dict[Attempt, str]]:
    """A statement for each attempt, by object. It is that of a grid, if the object has one."""
    found = {name: {attempt: _of(item, attempt) for attempt in item.attempts} for name, item in access.objects.items()}
    for grid in grids:
        for cell in grid.cells:
            attempt = Attempt(cell.row, cell.command)
            if attempt in found.get(grid.table, {}):
                found[grid.table][attempt] = grid.checks(cell, world)[0].statement
    return found


def _of(item: ObjectAccess, attempt: Attempt) -> str:
    """A statement on an object without a grid."""
    if attempt.command == CALL:
        name, _, types = item.name.removesuffix(")").partition("(")
        arguments = ", ".join(f"NULL::{type_}" for type_ in types.split(", ") if type_)
        return f"SELECT {qualified(name)}({arguments})"
    table = qualified(item.name)
    if attempt.command == SELECT:
        return f"SELECT * FROM {table}"
    function = "has_table_privilege" if attempt.command in ("DELETE", TRUNCATE) else "has_any_column_privilege"
    return f"SELECT {function}({sql.Literal(table).as_string()}, '{attempt.command}')"
