"""The migrations folder: its phases, their steps, and their verify.sql and rollback.sql."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from rolecall.errors import MigrationError
from rolecall.sql import files

STEP = re.compile(r"(?P<number>\d+(?:_\d+)+)_(?P<name>[a-z]\w*)\.sql")
PHASE = re.compile(r"phase_(?P<number>\d+)_(?P<name>[a-z]\w*)")
BY_HAND = frozenset({"monitor.sql"})  # people run it after the migration; it belongs to no phase


@dataclass(frozen=True)
class Script:
    """An SQL file of a phase: a step, its verify.sql or its rollback.sql."""

    path: Path

    @property
    def folder(self) -> str:
        """The name of the phase's folder."""
        return self.path.parent.name

    @property
    def id(self) -> str:
        """The script's name in reports: ``phase_1_notes/1_2_notes.sql``."""
        return f"{self.folder}/{self.path.name}"


@dataclass(frozen=True)
class Step(Script):
    """One migration file, numbered within its phase: ``1_2_notes.sql``."""

    number: tuple[int, ...]
    name: str

    def __str__(self) -> str:
        return ".".join(map(str, self.number)) + " " + self.name


AnyScript = TypeVar("AnyScript", bound=Script)


@dataclass(frozen=True)
class Phase:
    """A folder of steps, with the scripts that verify the result and roll it back."""

    number: int
    name: str
    steps: tuple[Step, ...]
    verify: Script
    rollback: Script

    @property
    def scripts(self) -> tuple[Script, ...]:
        """Its steps in order, its rollback.sql and its verify.sql."""
        return (*self.steps, self.rollback, self.verify)

    def with_scripts(self, others: Mapping[Path, Path]) -> Phase:
        """The same phase with some of its files replaced by others."""

        def other(script: AnyScript) -> AnyScript:
            return replace(script, path=others.get(script.path, script.path))

        steps = tuple(map(other, self.steps))
        return replace(self, steps=steps, verify=other(self.verify), rollback=other(self.rollback))

    def session_notes(self) -> list[str]:
        """A line for each statement that changes the session for later scripts: its place, and what to do."""
        return [line for script in self.scripts for line in files.session_notes(script.path)]


def read(folder: Path) -> tuple[Phase, ...]:
    """The phases of a migrations folder, in order.

    Raises MigrationError for two steps or phases with the same number, a step in the folder of another phase, a phase
    without verify.sql or rollback.sql, and a file in the wrong place.
    """
    phases = sorted(_phases(folder), key=lambda phase: phase.number)
    if not phases:
        raise MigrationError(f"{folder} has no phase: create a folder phase_1_… with the steps.")
    for one, two in pairwise(phases):
        if one.number == two.number:
            raise MigrationError(
                f"two phases have the number {one.number}: {one.rollback.folder} and "
                f"{two.rollback.folder}. Their order is not clear: renumber one."
            )
    return tuple(phases)


def _phases(folder: Path) -> Iterator[Phase]:
    for path in sorted(folder.iterdir()):
        if path.name in BY_HAND:
            continue
        if path.suffix.lower() == ".sql" and path.is_file():
            raise MigrationError(f"{path} is in no phase: move it into a folder phase_1_….")
        if not path.is_dir() or path.name.startswith((".", "_")):
            continue
        match = PHASE.fullmatch(path.name)
        if not match:
            raise MigrationError(f"{path} is not the name of a phase: rename it, for example to phase_1_notes.")
        number = int(match["number"])
        yield Phase(
            number,
            match["name"],
            _steps(path, number),
            _script(path, "verify.sql", "fails if something of the phase is missing or different"),
            _script(path, "rollback.sql", "removes the phase"),
        )


def _script(folder: Path, name: str, purpose: str) -> Script:
    path = folder / name
    if not path.is_file():
        raise MigrationError(f"{folder} has no {name}: write the script that {purpose}.")
    return Script(path)


def _steps(folder: Path, phase: int) -> tuple[Step, ...]:
    steps: dict[tuple[int, ...], Step] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() != ".sql" or path.name in ("verify.sql", "rollback.sql"):
            continue
        match = STEP.fullmatch(path.name)
        if not match:
            raise MigrationError(f"{path} is not the name of a step: rename it, for example to {phase}_1_notes.sql.")
        number = tuple(map(int, match["number"].split("_")))
        if number[0] != phase:
            raise MigrationError(
                f"{path}: step {match['number']} is in the folder of phase {phase}: move or rename it."
            )
        if not path.is_file():
            kind = f"a link to {path.readlink()}, which does not exist" if path.is_symlink() else "not a file"
            raise MigrationError(f"{path} is {kind}: replace or remove it.")
        if number in steps:
            raise MigrationError(
                f"two steps have the number {match['number']}: {steps[number].path.name} and {path.name}, "
                f"in {folder}. Their order is not clear: renumber one."
            )
        steps[number] = Step(path, number, match["name"])
    if not steps:
        raise MigrationError(f"{folder} has no step: write {phase}_1_….sql.")
    return tuple(steps[number] for number in sorted(steps))
