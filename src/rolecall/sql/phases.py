"""The model of migrations: phases, each with its steps and perhaps with scripts that verify it and roll it back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import NamedTuple, TypeVar

from rolecall.errors import MigrationError
from rolecall.sql import files
from rolecall.sql.text import NEWLINE


class Transaction(Enum):
    """How many transactions a script runs in."""

    ONE = "one transaction around the script, as psql -1"
    OWN = "those that the script begins and ends; one around the script if it does not"
    NONE = "one for each statement, as psql without -1"


class Part(NamedTuple):
    """A part of a file, from the line of its marker to the next marker: ``-- migrate:up`` and ``-- migrate:down``.

    ``marker`` is a regular expression for the lines of markers; its first group is the name of the part.
    """

    name: str
    marker: re.Pattern[str]

    def of(self, text: str) -> str:
        """The part, with blanks in place of the rest, so that lines and offsets stay the same."""
        result, inside, start = [], False, 0
        for end in [*(newline.end() for newline in NEWLINE.finditer(text)), len(text)]:
            line, start = text[start:end], end
            match = self.marker.match(line)
            if match:
                inside = match[1].lower() == self.name
            result.append(line if inside and not match else re.sub(r"[^\r\n]", " ", line))
        return "".join(result)


@dataclass(frozen=True)
class Script:
    """An SQL file of a phase, or a part of one: a step, a script that verifies the phase, or one that rolls it back."""

    path: Path
    part: Part | None = field(default=None, kw_only=True)
    transaction: Transaction = field(default=Transaction.ONE, kw_only=True)

    @property
    def folder(self) -> str:
        """The name of the folder that it is in."""
        return self.path.parent.name

    @property
    def id(self) -> str:
        """The script's name in reports: ``phase_1_notes/1_2_notes.sql``; ``migrations/1_notes.sql (down)``."""
        part = f" ({self.part.name})" if self.part and self.part.name != "up" else ""
        return f"{self.folder}/{self.path.name}{part}"

    def read(self) -> str:
        """Its text. Of a part, offsets and lines are those of the file. Raises SqlError."""
        text = files.read(self.path)
        return self.part.of(text) if self.part else text


@dataclass(frozen=True)
class Step(Script):
    """One migration: a file, or the part of it that applies it. ``number`` is its version: (1, 2) of ``1_2_notes.sql``.

    ``title`` is unique among all steps.
    """

    number: tuple[int, ...]
    name: str
    title: str

    def __str__(self) -> str:
        return ".".join(map(str, self.number)) + " " + self.name


AnyScript = TypeVar("AnyScript", bound=Script)


@dataclass(frozen=True)
class Phase:
    """The steps that are applied, verified and rolled back together.

    ``title`` is its name in reports. ``once``: a tool remembers which steps a database has, and runs each once.
    """

    number: int
    name: str
    title: str
    steps: tuple[Step, ...]
    verifies: Script | None
    rolls_back: Script | None
    once: bool = False

    @property
    def verify(self) -> Script:
        """The script that verifies the phase. Raises MigrationError if there is none."""
        if self.verifies is None:
            raise MigrationError(f"phase {self.number} ({self.title}) has no script that verifies it.")
        return self.verifies

    @property
    def rollback(self) -> Script:
        """The script that rolls the phase back. Raises MigrationError if there is none."""
        if self.rolls_back is None:
            raise MigrationError(f"phase {self.number} ({self.title}) has no script that rolls it back.")
        return self.rolls_back

    @property
    def scripts(self) -> tuple[Script, ...]:
        """Its steps in order, the script that rolls it back, and the one that verifies it."""
        return (*self.steps, *filter(None, (self.rolls_back, self.verifies)))

    @property
    def tested(self) -> tuple[Script, ...]:
        """The scripts that tests must run. A step that runs once has run when the first test begins."""
        return tuple(script for script in self.scripts if not (self.once and isinstance(script, Step)))

    def with_scripts(self, others: Mapping[Path, Path]) -> Phase:
        """The same phase with some of its files replaced by others."""

        def other(script: AnyScript) -> AnyScript:
            return replace(script, path=others.get(script.path, script.path))

        return replace(
            self,
            steps=tuple(map(other, self.steps)),
            verifies=self.verifies and other(self.verifies),
            rolls_back=self.rolls_back and other(self.rolls_back),
        )

    def session_notes(self) -> list[str]:
        """A line for each statement that changes the session for later scripts: its place, and what to do."""
        return [line for script in self.scripts for line in files.session_notes(script.path, script.read())]
