"""A proposed row, and where its values come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Origin(NamedTuple):
    """Where a value comes from, for the file that is written: a column of another row, or the subject of a persona."""

    table: str
    row: str
    column: str


@dataclass
class ProposedRow:
    """A proposed row. ``columns`` are those that the world names, ``whole`` are all.

    ``exists``: something else makes it, as a trigger makes the profile of a new user. ``maker`` is the persona that
    inserts it; empty for a superuser.
    """

    table: str
    name: str
    columns: dict[str, Any]
    whole: dict[str, Any]
    sources: dict[str, Origin] = field(default_factory=dict)
    exists: bool = False
    maker: str = ""
