"""Rewrites of triggers: each is a mistake that an author can make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rolecall.sql.tree import Change

EVENTS = {4: "INSERT", 8: "DELETE", 16: "UPDATE"}  # the bits of pg_trigger's tgtype
BEFORE, AFTER = 2, 0


def change_event(node: Any) -> Iterator[tuple[str, Change]]:
    """Change the event of a trigger, or BEFORE to AFTER."""
    if node.DESCRIPTOR.name != "CreateTrigStmt":
        return
    for event, word in EVENTS.items():
        if event != node.events:

            def change(node: Any, event: int = event) -> None:
                node.events = event
                node.ClearField("columns")

            yield f"on {word}", change
    if node.timing == BEFORE:

        def change_timing(node: Any) -> None:
            node.timing = AFTER

        yield "AFTER instead of BEFORE", change_timing


def drop_condition(node: Any) -> Iterator[tuple[str, Change]]:
    """Leave out the WHEN of a trigger."""
    if node.DESCRIPTOR.name == "CreateTrigStmt" and node.HasField("when_clause"):
        yield "without WHEN", lambda node: node.ClearField("when_clause")


def swap_old_new(node: Any) -> Iterator[tuple[str, Change]]:
    """Read the new row instead of the old one, or the old one instead of the new."""
    if node.DESCRIPTOR.name == "ColumnRef" and len(node.fields) > 1:
        row, column = node.fields[0].string.sval, node.fields[1].string.sval
        if other := {"old": "new", "new": "old"}.get(row):

            def change(node: Any) -> None:
                node.fields[0].string.sval = other

            yield f"{row}.{column} becomes {other}", change
