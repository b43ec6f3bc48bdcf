"""Sqitch: the plan, and a script that deploys, reverts and verifies each of its changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rolecall.errors import MigrationError
from rolecall.sql import files
from rolecall.sql.layouts.layout import Layout, Migration, as_phases, require_text, with_text
from rolecall.sql.phases import Phase, Script, Step, Transaction


class Sqitch(Layout):
    """``sqitch.plan`` with ``deploy/notes.sql``, and perhaps ``revert/notes.sql`` and ``verify/notes.sql``."""

    name, example = "sqitch", "sqitch.plan with deploy/notes.sql, perhaps with revert/ and verify/"

    def fits(self, path: Path) -> bool:
        """Whether it has a plan."""
        return (path / "sqitch.plan").exists()

    def phases(self, path: Path) -> tuple[Phase, ...]:
        """The changes in the order of the plan."""
        plan = path / "sqitch.plan"
        if not plan.is_file():
            raise MigrationError(f"{path} has no sqitch.plan, which has the order of its changes.")
        migrations = []
        for number, (line, name) in enumerate(_changes(plan), start=1):
            deploy = path / "deploy" / f"{name}.sql"
            if not deploy.is_file():
                raise MigrationError(f"{plan}:{line}: the change {name} has no {deploy}: write it.")
            step = Step(deploy, (number,), name, name, transaction=Transaction.NONE)
            revert, verify = (_script(path / folder / f"{name}.sql") for folder in ("revert", "verify"))
            migrations.append(Migration(require_text(step), revert, verify))
        return as_phases(path, migrations)


def _script(path: Path) -> Script | None:
    return with_text(Script(path, transaction=Transaction.NONE)) if path.is_file() else None


def _changes(plan: Path) -> Iterator[tuple[int, str]]:
    """The lines and the names of the changes. A change that is reworked later has the next tag in its name."""
    entries: list[tuple[int, str]] = []
    for number, line in enumerate(files.read(plan).splitlines(), start=1):
        text = line.partition("#")[0].strip()
        if text and not text.startswith("%"):
            entries.append((number, text.split()[0].removeprefix("+")))
    for at, (number, name) in enumerate(entries):
        if name.startswith("@"):
            continue
        later = [each for _, each in entries[at + 1 :]]
        tag = next((each for each in later if each.startswith("@")), "") if name in later else ""
        yield number, name + tag
