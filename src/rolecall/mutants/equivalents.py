"""Mutants that nobody could tell from the original, each declared in a line of a file with its reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rolecall.errors import RolecallError
from rolecall.sql import files

BETWEEN = " :: "
NAMED = 3  # of the lines that have to go, before "and n more"


@dataclass(frozen=True)
class Equivalents:
    """The lines of a file, ``id of the mutant :: reason``; ``#`` begins a comment."""

    path: Path | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)  # of each mutant, counted from 1

    @classmethod
    def read(cls, path: Path | None) -> Equivalents:
        """Read the file. Raises RolecallError with file:line for a line without a reason, or twice, or not in UTF-8."""
        if path is None:
            return cls()
        reasons: dict[str, str] = {}
        lines: dict[str, int] = {}
        for number, line in enumerate(files.read(path).split("\n"), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            mutant, _, reason = (part.strip() for part in line.rpartition(BETWEEN))
            if not mutant or not reason:
                raise RolecallError(
                    f"{path}:{number}: write the mutant's id, two colons between spaces, and the reason."
                )
            if mutant in reasons:
                raise RolecallError(f"{path}:{number}: {mutant} is declared already.")
            reasons[mutant], lines[mutant] = reason, number
        return cls(path, reasons, lines)

    def check(self, mutants: Iterable[str]) -> None:
        """Raise RolecallError for a declared mutant that there is not any more."""
        there = set(mutants)
        gone = [
            f"{self.path}:{number}: this mutant does not exist any more, remove it: {mutant}"
            for mutant, number in self.lines.items()
            if mutant not in there
        ]
        if gone:
            more = [f"and {len(gone) - NAMED} more"] if len(gone) > NAMED else []
            raise RolecallError("\n".join([*gone[:NAMED], *more]))

    def reason(self, mutant: str) -> str | None:
        """Why a mutant is equivalent; None if nobody said so."""
        return self.reasons.get(mutant)
