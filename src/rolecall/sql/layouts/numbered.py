"""Files with a number or timestamp at the start of the name: Supabase and others, and golang-migrate."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from rolecall.errors import MigrationError
from rolecall.sql.layouts.layout import (
    Layout,
    Migration,
    as_phases,
    in_order,
    matching,
    require_text,
    sql_files,
    with_text,
)
from rolecall.sql.phases import Phase, Script, Step, Transaction


class _Numbered(Layout):
    """Files ``<version>_<name>.sql``, with the script that undoes one beside it."""

    pattern: ClassVar[re.Pattern[str]]

    def fits(self, path: Path) -> bool:
        """Whether a file has such a name."""
        return any(self.pattern.fullmatch(each.name) for each in sql_files(path))

    def phases(self, path: Path) -> tuple[Phase, ...]:
        """The files in the order of their versions."""
        ups: list[Step] = []
        downs: dict[str, Script] = {}
        for file, match in matching(sql_files(path), self.pattern, self.example):
            if match["down"]:
                downs[match["title"]] = Script(file, transaction=Transaction.OWN)
            else:
                version = (int(match["version"]),)
                step = Step(file, version, match["name"] or "", match["title"], transaction=Transaction.OWN)
                ups.append(require_text(step))
        self.check_order(ups)
        migrations = in_order([Migration(step, with_text(downs.get(step.title))) for step in ups])
        for title, script in downs.items():
            if title not in {step.title for step in ups}:
                raise MigrationError(f"{script.path} undoes a migration that does not exist: rename or remove it.")
        return as_phases(path, migrations)

    def check_order(self, steps: list[Step]) -> None:
        """Raises MigrationError if the order is not clear."""


class Flat(_Numbered):
    """``20241129101500_notes.sql``, and perhaps ``20241129101500_notes.down.sql``: Supabase, Drizzle, your own."""

    name, example = "flat", "20241129101500_notes.sql, perhaps with 20241129101500_notes.down.sql"
    pattern = re.compile(r"(?P<title>(?P<version>\d+)(?:[_.-](?P<name>.*?))??)(?P<down>\.down)?\.sql")

    def check_order(self, steps: list[Step]) -> None:
        """Some tools go by the name, others by the number: 10 comes before 9 for the first."""
        for one, two in zip(steps, sorted(steps, key=lambda step: step.number), strict=True):
            if one.number != two.number:
                raise MigrationError(
                    f"{one.path}: by name it comes before {two.path.name}, and by number after it. Their order is not "
                    "clear: give all numbers the same length."
                )


class GolangMigrate(_Numbered):
    """``000001_notes.up.sql``, and perhaps ``000001_notes.down.sql``."""

    name, example = "golang-migrate", "000001_notes.up.sql, perhaps with 000001_notes.down.sql"
    pattern = re.compile(r"(?P<title>(?P<version>\d+)_(?P<name>.*))\.(?:up|(?P<down>down))\.sql")

    def fits(self, path: Path) -> bool:
        """Whether a file has the end .up.sql."""
        return any(self.pattern.fullmatch(each.name) and each.name.endswith(".up.sql") for each in sql_files(path))
