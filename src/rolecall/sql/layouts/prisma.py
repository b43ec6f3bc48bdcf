"""Prisma, and Drizzle since version 1: a folder for each migration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from rolecall.errors import MigrationError
from rolecall.sql.layouts.layout import Layout, Migration, as_phases, in_order, require_file, require_text, with_text
from rolecall.sql.phases import Phase, Script, Step, Transaction

NAME = re.compile(r"(?P<version>\d+)_?(?P<name>.*)")


class Prisma(Layout):
    """``20241129101500_notes/migration.sql``, and perhaps ``down.sql`` beside it."""

    name, example = "prisma", "20241129101500_notes/migration.sql, perhaps with down.sql"

    def fits(self, path: Path) -> bool:
        """Whether a folder in it has a migration.sql."""
        return any((folder / "migration.sql").exists() for folder in path.iterdir())

    def phases(self, path: Path) -> tuple[Phase, ...]:
        """The migrations in the order of their folders' names."""
        for each in path.iterdir():
            if each.suffix.lower() == ".sql":
                raise MigrationError(f"{each} is in no migration: move it into a folder ({self.example}).")
        return as_phases(path, in_order(list(_migrations(path))))


def _migrations(path: Path) -> Iterator[Migration]:
    for folder in sorted(path.iterdir()):
        if not folder.is_dir() or folder.name.startswith((".", "_")) or folder.name == "meta":
            continue
        match = NAME.fullmatch(folder.name)
        if not match:
            raise MigrationError(f"{folder}: the name of a migration begins with a number: rename it.")
        if not (folder / "migration.sql").is_file():
            raise MigrationError(f"{folder} has no migration.sql: write it, or remove the folder.")
        file, down = require_file(folder / "migration.sql"), folder / "down.sql"
        step = Step(file, (int(match["version"]),), match["name"], folder.name, transaction=Transaction.OWN)
        script = Script(down, transaction=Transaction.OWN) if down.is_file() else None
        yield Migration(require_text(step), with_text(script))
