"""Declared mutants: those that no test can notice, and those that only a pin can. A file has each in a line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rolecall.errors import RolecallError
from rolecall.sql import files

SEPARATOR = " :: "
MAX_LINES = 3  # of an error, before "and n more"


@dataclass(frozen=True)
class Declaration:
    """A line of a file. ``word`` is what it declares: ``equivalent``, or ``pinned`` for a mutant that only pins notice.

    ``line`` is counted from 1.
    """

    word: str
    path: Path
    line: int
    reason: str


@dataclass(frozen=True)
class Declarations:
    """The lines of both files, ``id of the mutant :: reason``, by the id. A line with ``#`` is a comment."""

    by_id: dict[str, Declaration] = field(default_factory=dict)

    @classmethod
    def read(cls, equivalents: Path | None, pinned: Path | None) -> Declarations:
        """Read both files. Raises RolecallError, with file and line, for a missing reason, a duplicate or bad UTF-8."""
        result = cls()
        for word, path in (("equivalent", equivalents), ("pinned", pinned)):
            if path is not None:
                result._add(word, path)
        return result

    def _add(self, word: str, path: Path) -> None:
        for number, line in enumerate(files.read(path).split("\n"), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            mutant, _, reason = (part.strip() for part in line.rpartition(SEPARATOR))
            if not mutant or not reason:
                raise RolecallError(
                    f"{path}:{number}: write the id of the mutant, two colons between spaces, and the reason."
                )
            if first := self.by_id.get(mutant):
                where = f"in line {first.line}" if first.path == path else f"in {first.path}:{first.line}"
                raise RolecallError(f"{path}:{number}: {mutant} is already declared, {where}.")
            self.by_id[mutant] = Declaration(word, path, number, reason)

    def check(self, mutants: Iterable[str]) -> None:
        """Raise RolecallError for declared mutants that do not exist any more."""
        existing = set(mutants)
        errors = [
            f"{each.path}:{each.line}: this mutant does not exist any more, remove it: {mutant}"
            for mutant, each in self.by_id.items()
            if mutant not in existing
        ]
        if errors:
            more = [f"and {len(errors) - MAX_LINES} more"] if len(errors) > MAX_LINES else []
            raise RolecallError("\n".join([*errors[:MAX_LINES], *more]))

    def of(self, mutant: str) -> Declaration | None:
        """What is declared of a mutant; None without a line."""
        return self.by_id.get(mutant)
