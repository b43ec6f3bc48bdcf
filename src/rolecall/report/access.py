"""The access map: what every persona can do with every row of every table, view and function, as it was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Kind = Literal["table", "view", "function"]
HEAD = 0  # the number of the phase that stands for all phases

# The ways to do a command. A select has `whole`; an insert and an update have more than one.
WHOLE, PLAIN, RETURNING, UPSERT, CONDITION, BLIND, HELD = (
    *("whole", "plain", "returning", "upsert", "condition", "blind", "held"),
)


class Attempted(NamedTuple):
    """What was tried on an object: a command on a row. ``row`` is empty for a function, and for no particular row."""

    row: str
    command: str


@dataclass(frozen=True)
class Access:
    """What one persona can do with one command on one row.

    ``ways`` are those that work, in the order of :data:`WHOLE` to :data:`HELD`; without any, there is no access.
    ``columns`` are the columns that are granted one by one, where the whole table is refused. ``rows`` is the number
    of rows that a select shows, and ``of`` the number that exist, where rows have no names.
    """

    ways: Sequence[str] = ()
    columns: Sequence[str] = ()
    rows: int | None = None
    of: int | None = None

    def __bool__(self) -> bool:
        return bool(self.ways or self.columns or self.rows)


@dataclass(frozen=True)
class ObjectAccess:
    """The access to a table, a view or a function: ``name`` is "schema.name", with the arguments of a function.

    ``possible`` has the ways that were tried, by what was attempted. ``granted`` has only what is allowed.
    """

    name: str
    kind: Kind
    possible: Mapping[Attempted, Sequence[str]]
    granted: Mapping[Attempted, Mapping[str, Access]] = field(default_factory=dict)  # by persona


@dataclass(frozen=True)
class AccessMap:
    """The access of all personas to all objects, by name. ``personas`` are their roles, by name."""

    personas: Mapping[str, str]
    objects: Mapping[str, ObjectAccess]


@dataclass(frozen=True)
class AccessMaps:
    """The access after each phase, by its number. :data:`HEAD` is the access after all of them."""

    by_phase: Mapping[int, AccessMap]

    @property
    def head(self) -> AccessMap:
        """The access after all phases."""
        return self.by_phase[HEAD]
