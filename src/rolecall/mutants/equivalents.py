"""Mutants that nobody could tell from the original, each declared in a line of a file with its reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rolecall.errors import RolecallError

BETWEEN = " :: "


@dataclass(frozen=True)
class Equivalents:
    """The lines of a file, ``id of the mutant :: reason``; ``#`` begins a comment."""

    path: Path | None = None
    reasons: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path | None) -> Equivalents:
        """Read the file. Raises RolecallError with file:line for a line without a reason, or twice."""
        if path is None:
            return cls()
        reasons: dict[str, str] = {}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            mutant, _, reason = (part.strip() for part in line.rpartition(BETWEEN))
            if not mutant or not reason:
                raise RolecallError(
                    f"{path}:{number}: write the mutant's id, two colons between blanks, and the reason."
                )
            if mutant in reasons:
                raise RolecallError(f"{path}:{number}: {mutant} is declared already.")
            reasons[mutant] = reason
        return cls(path, reasons)

    def check(self, mutants: Iterable[str]) -> None:
        """Raise RolecallError for a declared mutant that there is not any more."""
        if gone := sorted(self.reasons.keys() - set(mutants)):
            raise RolecallError(f"{self.path}: no such mutant any more, take it out:\n" + "\n".join(gone))

    def reason(self, mutant: str) -> str | None:
        """Why a mutant is equivalent; None if nobody said so."""
        return self.reasons.get(mutant)
