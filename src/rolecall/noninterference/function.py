"""The function of the server that applies changes. Every worker creates it, also those that change nothing."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from psycopg import Connection

EXISTS = "SELECT to_regprocedure('pg_temp.rolecall_change(jsonb)') IS NOT NULL"


def prepare(connection: Connection[Any]) -> None:
    """Create the function if it does not exist; see :func:`rolecall.grids.probe.prepare`."""
    if connection.execute(EXISTS).fetchone() != (True,):
        connection.execute((files("rolecall.noninterference") / "changes.sql").read_bytes())
