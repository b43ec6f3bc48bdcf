"""Which access looks like a leak. It only decides what a person reads first."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from rolecall.access.world import World
from rolecall.grids.grid import Cell, Grid

ANONYMOUS = "anon"  # Supabase's role for requests without a user
BYPASSES = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = %s"


def looks_like_leak(connection: Connection[Any], grid: Grid, cell: Cell, world: World) -> str:
    """Why a persona should perhaps not have the access that its cell says. Empty if it does not look so.

    A role that bypasses row-level security is meant to have access.
    """
    persona = world.personas[cell.persona]
    if not _allows(cell) or connection.execute(BYPASSES, [persona.role]).fetchone() == (True,):
        return ""
    if persona.role == ANONYMOUS:
        return f"{persona.name} has the role {ANONYMOUS}"
    if not persona.claims.get("sub"):
        return f"{persona.name} has no subject"
    others = [each for each in grid.cells if (each.row, each.persona) == (cell.row, cell.persona) and each != cell]
    if others and not any(map(_allows, others)):
        return f"{persona.name} may do nothing else with this row"
    return ""


def _allows(cell: Cell) -> bool:
    return "yes" in cell.expected.split("/")
