"""Sequences go on after the rows of the world, as they would if they had made the numbers of these rows.

Otherwise the server would give a new row the number of another one.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib.resources import files

from psycopg import sql

TEXT = (files("rolecall.access") / "sequences.sql").read_text(encoding="utf-8")


def block(tables: Collection[str]) -> str:
    """The block of PL/pgSQL, for ``DO``, that sets the sequences of tables (``schema.table``)."""
    return TEXT.replace("{tables}", sql.Literal(sorted(tables)).as_string())
