"""The cases of the league: changes of the schema that a tool should notice, and rewrites that it should not."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from rolecall.catalog.definitions import Schema
from rolecall.catalog.manifest import Manifest
from rolecall.defects.files import Defect
from rolecall.errors import RolecallError
from rolecall.mutants.operators.operator import Mutant
from rolecall.sql import files

ROOT = Path(__file__).parent.parent
MISTAKES, REWRITES = ROOT / "league" / "mistakes", ROOT / "league" / "rewrites"
DEFECTS = ROOT / "tests" / "defects"
MUTANT, DEFECT, MISTAKE, REWRITE = KINDS = ("mutant", "defect", "mistake", "rewrite")


@dataclass(frozen=True)
class Case:
    """One change of the schema, run as the migration role.

    ``kind`` is one of ``KINDS``. ``concerns`` are the qualified names of the tables, views and functions that the
    change is about; empty if the SQL names none of them.
    """

    kind: str
    name: str
    title: str
    sql: str
    concerns: tuple[str, ...]

    @property
    def id(self) -> str:
        """The unique id, e.g. ``mistake: unlogged``."""
        return f"{self.kind}: {self.name}"

    def as_json(self) -> dict[str, Any]:
        """The case for another process."""
        return asdict(self)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Case:
        """The case from :meth:`as_json`."""
        return cls(**{**data, "concerns": tuple(data["concerns"])})


def sample(mutants: Iterable[Mutant], number: int, seed: int) -> list[Mutant]:
    """At most ``number`` mutants of each operator. The sample of one operator does not depend on the others.

    Mutants of scripts are left out: the league compares databases.
    """
    candidates = sorted((each for each in mutants if not each.script), key=attrgetter("operator", "id"))
    chosen: list[Mutant] = []
    for operator, group in groupby(candidates, key=attrgetter("operator")):
        all_of_it = list(group)
        chance = random.Random(f"{seed} {operator}")  # noqa: S311  # a sample, not a secret
        chosen += sorted(chance.sample(all_of_it, min(number, len(all_of_it))), key=attrgetter("id"))
    return chosen


def some(cases: Sequence[Case], number: int | None) -> Sequence[Case]:
    """At most ``number`` of the cases, from the whole list; all without a number."""
    return cases if number is None else cases[:: max(1, len(cases) // max(1, number))][:number]


def of_mutants(mutants: Iterable[Mutant]) -> list[Case]:
    """The mutants as cases."""
    return [Case(MUTANT, each.id, each.what, each.sql, (each.concerns,)) for each in mutants]


def of_defects(objects: Objects) -> list[Case]:
    """The defects that change the schema. Those that replace a script are left out."""
    defects = [Defect.read(path, ROOT) for path in sorted(DEFECTS.glob("*.sql"))]
    texts = [(defect, files.read(defect.path)) for defect in defects if not defect.instead_of]
    return [Case(DEFECT, each.path.stem, each.title, text, objects.named_in(text)) for each, text in texts]


def of_folder(kind: str, folder: Path, objects: Objects) -> list[Case]:
    """The SQL files of a folder. Raises RolecallError if one has no title, or if there is none."""
    paths = sorted(folder.glob("*.sql"))
    if not paths:
        raise RolecallError(f"{folder} has no SQL file.")
    return [_of_file(kind, path, objects) for path in paths]


def _of_file(kind: str, path: Path, objects: Objects) -> Case:
    text = files.read(path)
    title = re.match(r"-- (\S.*)\n", text)
    if not title:
        raise RolecallError(f"{path}:1: start with what the file changes, in one line: -- …")
    return Case(kind, path.stem, title[1], text, objects.named_in(text))


class Objects:
    """The tables, views and functions of the migrations, which the SQL of a case may name."""

    def __init__(self, names: Sequence[str], tables_of_triggers: dict[str, str]) -> None:
        self.names, self.tables_of_triggers = names, tables_of_triggers

    @classmethod
    def of(cls, manifest: Manifest, schema: Schema) -> Objects:
        """The objects of a migrated database."""
        others = manifest.of_kind("view", "function", "trigger function")
        names = [*manifest.tables, *(item.full_name for item in others)]
        return cls(names, {trigger.function: trigger.table for trigger in schema.triggers})

    def named_in(self, text: str) -> tuple[str, ...]:
        """The objects that the SQL names, without its comments. A trigger function also means its table."""
        code = re.sub(r"--.*", "", text)
        found = [name for name in self.names if re.search(rf"(?<![\w.]){re.escape(name)}\b", code)]
        tables = [self.tables_of_triggers[name] for name in found if name in self.tables_of_triggers]
        return tuple(dict.fromkeys([*found, *tables]))
