"""What the layouts have in common: files in the order of their versions, as one phase or as one phase each."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from rolecall.errors import MigrationError
from rolecall.sql.phases import Phase, Script, Step


class Layout(ABC):
    """How a tool arranges migrations. ``name`` is for ``rolecall_layout``, ``example`` for messages."""

    name: str
    example: str
    is_file = False  # one file, and no folder

    @abstractmethod
    def fits(self, path: Path) -> bool:
        """Whether the folder or file has this layout."""

    @abstractmethod
    def phases(self, path: Path) -> Sequence[Phase]:
        """The phases, in order. Raises MigrationError for what does not fit the layout, and SqlError."""


@dataclass(frozen=True)
class Migration:
    """A migration of a tool: the script that applies it, and if there are any, those that undo and verify it."""

    step: Step
    down: Script | None = None
    verify: Script | None = None


def as_phases(folder: Path, migrations: Sequence[Migration]) -> tuple[Phase, ...]:
    """The phases of migrations in the order in which they run.

    If any of them can be rolled back or verified, each is a phase, so that a test can do so after each. Otherwise there
    is nothing to do between them, and all are one phase. Raises MigrationError if there are none.
    """
    if not migrations:
        raise MigrationError(f"{folder} has no migration.")
    if any(each.down or each.verify for each in migrations):
        return tuple(
            Phase(number, each.step.name, each.step.title, (each.step,), each.verify, each.down, once=True)
            for number, each in enumerate(migrations, start=1)
        )
    steps = tuple(each.step for each in migrations)
    return (Phase(1, folder.stem, folder.stem, steps, None, None, once=True),)


def in_order(migrations: Sequence[Migration]) -> list[Migration]:
    """Migrations in the order of their versions. Raises MigrationError for two of one version."""
    ordered = sorted(migrations, key=lambda each: (each.step.number, each.step.path.name))
    for one, two in pairwise(ordered):
        if one.step.number == two.step.number:
            version = ".".join(map(str, one.step.number))
            raise MigrationError(
                f"{two.step.path}: version {version} is also that of {one.step.path.name}. Their order is not clear: "
                "rename one."
            )
    return ordered


def sql_files(folder: Path, *, below: bool = False) -> list[Path]:
    """The SQL files in a folder, sorted by name; with ``below``, also those in folders below it. None is hidden.

    Raises MigrationError for a path that is no file.
    """
    paths = sorted(folder.rglob("*") if below else folder.iterdir())
    hidden = re.compile(r"[._]")
    found = [
        path
        for path in paths
        if path.suffix.lower() == ".sql" and not any(map(hidden.match, path.relative_to(folder).parts))
    ]
    for path in found:
        require_file(path)
    return found


def require_file(path: Path) -> Path:
    """The path. Raises MigrationError if it is not a file."""
    if not path.is_file():
        kind = f"a link to {path.readlink()}, which does not exist" if path.is_symlink() else "not a file"
        raise MigrationError(f"{path} is {kind}: replace or remove it.")
    return path


def matching(paths: Sequence[Path], pattern: re.Pattern[str], example: str) -> Iterator[tuple[Path, re.Match[str]]]:
    """Each file with the match of its name. Raises MigrationError for a name that does not match."""
    for path in paths:
        match = pattern.fullmatch(path.name)
        if not match:
            raise MigrationError(f"{path}: the name fits no migration of this layout ({example}): rename or move it.")
        yield path, match


def require_text(script: Step) -> Step:
    """The step. Raises MigrationError if it has no text."""
    if not script.read().strip():
        what = f"the part {script.part.name} is empty" if script.part else "the file is empty"
        raise MigrationError(f"{script.path}: {what}: write its SQL, or remove the file.")
    return script


def with_text(script: Script | None) -> Script | None:
    """The script; None if it has no text. Tools write an empty script for what cannot be undone."""
    return script if script and script.read().strip() else None
