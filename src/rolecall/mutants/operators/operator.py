"""Mutants, and the operators that create them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from rolecall.catalog.definitions import Schema
from rolecall.sql.migrations import Script

# The text of a target, by its kind. All other kinds are "owner.name".
FORMS = {
    "policy": '{owner} "{name}"',
    "constraint": "{owner} {name}",
    "index": "{owner} {name}",
    "trigger": "{owner} {name}",
    "schema": "schema {name}",
    "bucket": "bucket {name}",
    "script": "{owner}/{name}",
}
PHASE = re.compile(r"phase_(\d+)_\w+")
STEP = re.compile(r"[\d_]*(\w+)\.sql")


@dataclass(frozen=True)
class Target:
    """The object that a mutant breaks.

    ``kind`` is table, view, function, column, policy, constraint, index, trigger, schema, bucket or script. ``owner``
    is the qualified table of a column, policy, constraint, index or trigger; the schema of a table, view or function;
    the folder of a script; and empty for a schema or a bucket.
    """

    kind: str
    name: str
    owner: str = ""

    @classmethod
    def of(cls, kind: str, full_name: str) -> Target:
        """A table, view or function by its qualified name."""
        owner, _, name = full_name.partition(".")
        return cls(kind, name, owner)

    @classmethod
    def script(cls, script: Script) -> Target:
        """A step, a verify.sql or a rollback.sql."""
        return cls("script", script.path.name, script.folder)

    def __str__(self) -> str:
        return FORMS.get(self.kind, "{owner}.{name}").format(owner=self.owner, name=self.name)

    @property
    def test_names(self) -> tuple[str, ...]:
        """The names that the id of a test may have for it. A script has the names of its step and of its phase."""
        step, phase = STEP.fullmatch(self.name), PHASE.fullmatch(self.owner)
        if self.kind == "script" and step and phase:
            return step[1], f"phase {phase[1]}"
        return (self.name,)


class Gain(NamedTuple):
    """What a mutant may let roles do: ``command`` is select, insert, update, delete, execute or another privilege.

    It is ``write`` for more than one command that writes.
    """

    roles: tuple[str, ...]
    command: str


@dataclass(frozen=True)
class Mutant:
    """One change that breaks the schema.

    ``concerns`` is the qualified table, view or function whose tests should fail. ``before`` is the original, and
    ``sql`` the statements that change it, run as the migration role. A mutant of a script has ``script``: ``sql`` then
    replaces the whole text of the file, and ``concerns`` is the method that runs the script: apply, verify or rollback.
    ``out_of_reach`` says why no persona may notice it; then it needs no declaration if it survives. ``gain`` is None if
    it lets nobody do more.
    """

    operator: str
    target: Target
    concerns: str
    what: str
    before: str
    sql: str
    script: Script | None = None
    out_of_reach: str = ""
    gain: Gain | None = None

    @property
    def id(self) -> str:
        """The unique id of the mutant, in one line. It is stable as long as the target does not change."""
        return f"{self.target} | {self.operator} | {self.what}".replace("\n", " ").strip()


class Operator(ABC):
    """One way to break a schema: a class for each, listed in :data:`rolecall.mutants.OPERATORS`.

    :cvar name: two or three words, e.g. ``policy-drop``
    :cvar stands_for: the real mistake with the same effect
    :cvar source: the publication that describes the operator; empty for rolecall's own
    :cvar catches: the kind of test that kills it, shown with a survivor
    :cvar by_grid: whether the grid of a table is tried before the tests, because it is most likely to fail
    """

    name: str
    stands_for: str
    source: str = ""
    catches: str
    by_grid: bool = False

    @abstractmethod
    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """Every mutant of this operator for a schema."""

    def mutant(
        self, target: Target, concerns: str, what: str, before: str, sql: str, gain: Gain | None = None
    ) -> Mutant:
        """A mutant of this operator."""
        return Mutant(self.name, target, concerns, what, before, sql, gain=gain)
