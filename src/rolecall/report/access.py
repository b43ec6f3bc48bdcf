"""The access map: what every persona can do with every row of every table, view and function, as it was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Kind = Literal["table", "view", "function"]
HEAD = 0  # the number of the phase that stands for all phases

SELECT, CALL = "select", "call"
# Commands on an object without a grid: whether a statement that changes no row is allowed.
PRIVILEGES = ("INSERT", "UPDATE", "DELETE")
TRUNCATE = "TRUNCATE"  # of every table: row-level security does not cover it
HELD = (*PRIVILEGES, TRUNCATE)


class Attempt(NamedTuple):
    """What was tried on an object: a command on a row. ``row`` is empty for a function, and for no particular row.

    ``command`` is :data:`SELECT`, a command or a move of a grid, one of :data:`HELD`, or :data:`CALL`.
    """

    row: str
    command: str


@dataclass(frozen=True)
class Access:
    """What is allowed of an attempt.

    ``without`` are the ways that do not work, in words ("RETURNING"). ``columns`` are those that are granted one by
    one, where the whole table is refused. ``rows`` is the number of rows that a select shows, where rows have no names.
    """

    without: Sequence[str] = ()
    columns: Sequence[str] = ()
    rows: int | None = None


Granted = Mapping[str, Access]  # by persona; who is not in it has no access


@dataclass(frozen=True)
class ObjectAccess:
    """The access to a table, a view or a function: all that was tried, and for whom it is allowed.

    ``name`` is "schema.name"; that of a function has its arguments.
    """

    name: str
    kind: Kind
    attempts: Mapping[Attempt, Granted] = field(default_factory=dict)


@dataclass(frozen=True)
class AccessMap:
    """The access of all personas to all objects. ``personas`` are their roles, by name; ``objects`` are by name."""

    personas: Mapping[str, str]
    objects: Mapping[str, ObjectAccess]


AccessMaps = Mapping[int, AccessMap]  # by the number of the last phase; HEAD: all phases
