"""What policies ask for: the columns that they compare with the request, and the values that they compare with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Source(NamedTuple):
    """A part of the request. ``kind`` is subject, claim (by its path), setting (by its name) or role."""

    kind: str
    path: str = ""


class ColumnOf(NamedTuple):
    """A column of a table (schema.name)."""

    table: str
    name: str


class Constant(NamedTuple):
    """A constant of the SQL."""

    value: Any


class FolderOf(NamedTuple):
    """The first part of a path in a column: ``(storage.foldername(name))[1]``, ``split_part(name, '/', 1)``."""

    column: ColumnOf


SUBJECT, ROLE = Source("subject"), Source("role")
TOKEN = Source("claim", "sub")  # how a token says who the user is
SET = Constant(...)  # any value but NULL
PAST, FUTURE = Constant("2001-02-03"), Constant("2999-02-03")
Term = Source | ColumnOf | Constant | FolderOf | None


@dataclass
class Facts:
    """``named``: columns compared with the request. ``asked``: what parts of the request are compared with.

    ``values``: what columns are compared with. ``linked``: columns compared with each other. ``looked_up``: the tables
    that policies read besides their own. ``used``: all columns that they read. ``folders``: columns with a path, and
    what its first part is compared with. ``inside``: those of ``values`` that are
    compared in a subquery or a function, which looks something up. ``of_users``: the tables in which such a lookup
    looks for the user. ``negated``: the tables with a policy that asks for what must not exist. ``subject``: how a
    request says who the user is; all of these call it SUBJECT.
    """

    subject: Source = TOKEN
    named: dict[ColumnOf, Source] = field(default_factory=dict)
    asked: dict[Source, list[Any]] = field(default_factory=dict)
    values: dict[ColumnOf, list[Constant]] = field(default_factory=dict)
    linked: list[tuple[ColumnOf, ColumnOf]] = field(default_factory=list)
    looked_up: dict[str, None] = field(default_factory=dict)
    used: set[ColumnOf] = field(default_factory=set)
    folders: dict[ColumnOf, Source | Constant] = field(default_factory=dict)
    inside: set[ColumnOf] = field(default_factory=set)
    of_users: set[str] = field(default_factory=set)
    negated: set[str] = field(default_factory=set)
    own: str = ""  # the table of the policy that is read
    is_inside: bool = False  # whether a subquery or a function is read

    def compare(self, one: Term, two: Term) -> None:
        """Two terms are compared with each other."""
        for left, right in ((one, two), (two, one)):
            if isinstance(left, FolderOf) and isinstance(right, (Source, Constant)):
                self.folders.setdefault(left.column, right)
            elif isinstance(left, ColumnOf) and isinstance(right, Source):
                self.named.setdefault(left, right)
                if right == SUBJECT and self._is_looked_up(left):
                    self.of_users.add(left.table)
            elif isinstance(left, ColumnOf) and isinstance(right, Constant):
                self.add_values(left, right)
            elif isinstance(left, Source) and isinstance(right, Constant):
                known = self.asked.setdefault(left, [])
                if right.value not in known:
                    known.append(right.value)
        if isinstance(one, ColumnOf) and isinstance(two, ColumnOf) and one != two:
            self.linked.append((one, two))

    def add_values(self, column: ColumnOf, *values: Constant) -> None:
        """A column is compared with values."""
        known = self.values.setdefault(column, [])
        known += [value for value in values if value not in known]
        if self._is_looked_up(column):
            self.inside.add(column)

    def _is_looked_up(self, column: ColumnOf) -> bool:
        return self.is_inside or column.table != self.own
