"""Why no row of a table can be made."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import psycopg

from rolecall.init.proposed_row import ProposedRow
from rolecall.init.shape import Table

NEEDS = "it needs a row of "
FUNCTION = re.compile(r"PL/pgSQL function ([^(]+)\(")


def first(table: Table, failed: Mapping[str, str], rows: Mapping[str, Sequence[ProposedRow]]) -> str:
    """The reason of the table that has no row either, and to which this one refers. Empty if there is none.

    ``failed`` are the reasons by table.
    """
    for parent in (key.parent for key in table.foreign_keys):
        if parent in failed and parent != table.name and not rows.get(parent):
            reason = failed[parent]
            return reason if reason.startswith(NEEDS) else f"{NEEDS}{parent}: {reason}"
    return ""


def place(error: Exception) -> str:
    """The function in which an error happened, mostly that of a trigger, for the end of a message."""
    context = error.diag.context if isinstance(error, psycopg.Error) else ""
    found = FUNCTION.search(context or "")
    return f" (in the function {found[1]})" if found else ""
