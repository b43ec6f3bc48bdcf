"""Flyway: versioned, repeatable, undo and baseline migrations."""

from __future__ import annotations

import re
from pathlib import Path

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

NAME = re.compile(r"(?P<title>(?P<kind>[VUB])(?P<version>\d+(?:[._]\d+)*)__(?P<name>.+)|R__(?P<repeatable>.+))\.sql")


class Flyway(Layout):
    """``V1__notes.sql``, ``V1.1__tags.sql``, and perhaps ``U1__notes.sql`` and ``R__views.sql``."""

    name, example = "flyway", "V1__notes.sql, perhaps with U1__notes.sql and R__views.sql"

    def fits(self, path: Path) -> bool:
        """Whether a file has such a name."""
        return any(NAME.fullmatch(each.name) for each in sql_files(path, below=True))

    def phases(self, path: Path) -> tuple[Phase, ...]:
        """The versioned ones in the order of their versions, then the repeatable ones by name.

        A baseline (``B5__all.sql``) takes the place of all versions up to its own, as in a new database.
        """
        steps: dict[str, list[Step]] = {"V": [], "B": [], "R": []}
        undo: dict[tuple[int, ...], Script] = {}
        for file, match in matching(sql_files(path, below=True), NAME, self.example):
            if match["kind"] == "U":
                undo[_version(match)] = Script(file, transaction=Transaction.OWN)
                continue
            number = (len(steps["R"]),) if match["repeatable"] else _version(match)
            name = match["repeatable"] or match["name"]
            step = Step(file, number, name, match["title"], transaction=Transaction.OWN)
            steps[match["kind"] or "R"].append(require_text(step))
        for version in undo.keys() - {step.number for step in steps["V"]}:
            raise MigrationError(f"{undo[version].path} undoes a version that does not exist: rename or remove it.")
        versioned = in_order([Migration(step, with_text(undo.get(step.number))) for step in steps["V"]])
        first = in_order([Migration(step) for step in steps["B"]])[-1:]
        later = [each for each in versioned if not first or each.step.number > first[0].step.number]
        repeatable = sorted(steps["R"], key=lambda step: step.name)
        return as_phases(path, [*first, *later, *(Migration(step) for step in repeatable)])


def _version(match: re.Match[str]) -> tuple[int, ...]:
    """The numbers of a version. 1.0 is the same version as 1."""
    numbers = [int(part) for part in re.split(r"[._]", match["version"])]
    while len(numbers) > 1 and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
