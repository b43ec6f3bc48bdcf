"""A mutant, and what makes them: an operator for each kind of break."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rolecall.catalog.definitions import Schema


@dataclass(frozen=True)
class Mutant:
    """One break.

    ``object`` is what is broken, as a person would name it; ``concerns`` the qualified table, view or
    function whose tests ought to notice. ``before`` and ``sql`` show what stands and what is run
    instead (as the migration role). A mutant of a script has ``script``: ``sql`` stands in for the
    file's whole text, and ``concerns`` is what a test does that runs it: apply, verify or rollback.
    """

    operator: str
    object: str
    concerns: str
    what: str
    before: str
    sql: str
    script: Path | None = None

    @property
    def id(self) -> str:
        """What tells this mutant from all others; stable as long as the object is as it is."""
        return f"{self.object} | {self.operator} | {self.what}".replace("\n", " ")


class Operator(ABC):
    """A way to break things: a class for each, gathered in :data:`rolecall.mutants.OPERATORS`.

    :cvar name: two or three words, e.g. ``policy-drop``
    :cvar stands_for: the mistake of real life that does the same
    :cvar source: where the operator was first described; empty for our own
    :cvar catches: what kind of test notices it: shown with a survivor
    :cvar by_grid: whether a table's grid is what most likely notices, and is tried before the tests
    """

    name: str
    stands_for: str
    source: str = ""
    catches: str
    by_grid: bool = False

    @abstractmethod
    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """Every mutant that this operator makes of a schema."""

    def mutant(self, object: str, concerns: str, what: str, before: str, sql: str) -> Mutant:  # noqa: A002
        """A mutant of this operator."""
        return Mutant(self.name, object, concerns, what, before, sql)
