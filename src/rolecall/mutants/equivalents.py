"""Equivalent mutants, which behave like the original: a file declares each in a line, with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rolecall.errors import RolecallError
from rolecall.sql import files

SEPARATOR = " :: "
MAX_LINES = 3  # of an error, before "and n more"


@dataclass(frozen=True)
class Equivalents:
    """The lines of a file, ``id of the mutant :: reason``. A line with ``#`` is a comment."""

    path: Path | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)  # the line number of each mutant, from 1

    @classmethod
    def read(cls, path: Path | None) -> Equivalents:
        """Read the file. Raises RolecallError, with file and line, for a missing reason, a duplicate or bad UTF-8."""
        if path is None:
            return cls()
        reasons: dict[str, str] = {}
        lines: dict[str, int] = {}
        for number, line in enumerate(files.read(path).split("\n"), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            mutant, _, reason = (part.strip() for part in line.rpartition(SEPARATOR))
            if not mutant or not reason:
                raise RolecallError(
                    f"{path}:{number}: write the id of the mutant, two colons between spaces, and the reason."
                )
            if mutant in reasons:
                raise RolecallError(f"{path}:{number}: {mutant} is already declared, in line {lines[mutant]}.")
            reasons[mutant], lines[mutant] = reason, number
        return cls(path, reasons, lines)

    def check(self, mutants: Iterable[str]) -> None:
        """Raise RolecallError for declared mutants that do not exist any more."""
        existing = set(mutants)
        errors = [
            f"{self.path}:{number}: this mutant does not exist any more, remove it: {mutant}"
            for mutant, number in self.lines.items()
            if mutant not in existing
        ]
        if errors:
            more = [f"and {len(errors) - MAX_LINES} more"] if len(errors) > MAX_LINES else []
            raise RolecallError("\n".join([*errors[:MAX_LINES], *more]))

    def reason(self, mutant: str) -> str | None:
        """Why a mutant is equivalent; None if it is not declared."""
        return self.reasons.get(mutant)
