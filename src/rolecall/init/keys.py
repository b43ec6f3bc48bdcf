"""The columns that tell the rows of the world apart, and the value that a harmless update writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rolecall.init.proposed_row import ProposedRow
from rolecall.init.shape import Table

CHANGED = {"S": "changed", "N": 7, "D": "2026-02-01", "B": True}  # by the category of a type


def key_of(table: Table | None, rows: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    """The primary key, or other columns that all rows have, with other values in each; empty without any.

    ``table`` is None for a view.
    """
    common = [name for name in rows[0] if all(row.get(name) is not None for row in rows)]
    known = [table.key, *table.unique.values()] if table else []
    for columns in map(list, [*known, *([name] for name in common), common]):
        values = {tuple(str(row.get(name)) for name in columns) for row in rows}
        if columns and set(columns) <= set(common) and len(values) == len(rows):
            return columns
    return []


def number_rows(table: Table, rows: Sequence[ProposedRow]) -> None:
    """Name the numbers of rows that only an identity tells apart. A persona that inserts a row cannot name it."""
    is_number = bool(table.key) and all(table.columns[name].is_identity for name in table.key)
    if is_number and not any(row.maker for row in rows) and not key_of(table, [row.columns for row in rows]):
        for row in rows:
            row.columns = {name: row.whole[name] for name in table.key} | row.columns
