"""Our own layout: a folder for each phase, with its steps, verify.sql and rollback.sql."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from rolecall.errors import MigrationError
from rolecall.sql.layouts.layout import Layout, require_file
from rolecall.sql.phases import Phase, Script, Step

STEP = re.compile(r"(?P<number>\d+(?:_\d+)+)_(?P<name>[a-z]\w*)\.sql")
PHASE = re.compile(r"phase_(?P<number>\d+)_(?P<name>[a-z]\w*)")
BY_HAND = frozenset({"monitor.sql"})  # people run it after the migration; it belongs to no phase


class Phases(Layout):
    """``phase_1_notes/1_1_notes.sql``, with ``verify.sql`` and ``rollback.sql`` in each folder."""

    name, example = "phases", "phase_1_notes/1_1_notes.sql, with verify.sql and rollback.sql"

    def fits(self, path: Path) -> bool:
        """Whether a folder in it has the name of a phase."""
        return any(PHASE.fullmatch(each.name) for each in path.iterdir())

    def phases(self, path: Path) -> tuple[Phase, ...]:
        """The phases in the order of their numbers.

        Raises MigrationError for two steps or phases with the same number, a step in the folder of another phase, a
        phase without verify.sql or rollback.sql, and a file in the wrong place.
        """
        phases = sorted(_phases(path), key=lambda phase: phase.number)
        if not phases:
            raise MigrationError(f"{path} has no phase: create a folder phase_1_… with the steps.")
        for one, two in pairwise(phases):
            if one.number == two.number:
                raise MigrationError(
                    f"two phases have the number {one.number}: {one.title} and {two.title}. Their order is not clear: "
                    "renumber one."
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
            path.name,
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
        require_file(path)
        if number in steps:
            raise MigrationError(
                f"two steps have the number {match['number']}: {steps[number].path.name} and {path.name}, "
                f"in {folder}. Their order is not clear: renumber one."
            )
        steps[number] = Step(path, number, match["name"], path.stem)
    if not steps:
        raise MigrationError(f"{folder} has no step: write {phase}_1_….sql.")
    return tuple(steps[number] for number in sorted(steps))
