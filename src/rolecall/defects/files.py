"""Defects: SQL files that each reintroduce a mistake and name the tests that catch it.

::

    -- F10: the policies against anon are permissive, and admit everyone
    -- caught by: tests/policies/test_notes.py::test_grid
    -- instead of: migrations/phase_1_notes/rollback.sql    (only for a defect of a script)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rolecall.defects.trial import NotCaughtError, TrialItem, collect, first_failing
from rolecall.errors import RolecallError
from rolecall.sql import files
from rolecall.worker import Worker


@dataclass(frozen=True)
class Defect:
    """An SQL file that breaks something on purpose, run as the migration role.

    ``caught_by`` are the ids of tests, or of a test function or module. ``instead_of`` is the script that the file
    replaces; without one, the file is SQL for the migrated database.
    """

    path: Path
    name: str
    title: str
    caught_by: tuple[str, ...]
    instead_of: Path | None

    @classmethod
    def read(cls, path: Path, root: Path) -> Defect:
        """Read the comments at the head of a file. Raises RolecallError if one is missing or wrong."""
        text = files.read(path)
        title = re.match(r"-- (F\d+\w*): (.+)", text)
        caught_by = re.findall(r"^-- caught by: (.+)$", text, re.MULTILINE)
        instead_of = re.search(r"^-- instead of: (.+)$", text, re.MULTILINE)
        if not title:
            raise RolecallError(f"{path}:1: start with the number of the finding and a title: -- F10: …")
        if not caught_by:
            raise RolecallError(f"{path}:1: name a test that catches the defect: -- caught by: tests/…::test_…")
        script = root / instead_of[1].strip() if instead_of else None
        if instead_of and script and not _is_file(script):
            line = text.count("\n", 0, instead_of.start()) + 1
            raise RolecallError(f"{path}:{line}: -- instead of: {script} does not exist.")
        return cls(path, title[1], title[2].strip(), tuple(name.strip() for name in caught_by), script)


def _is_file(path: Path) -> bool:
    """Whether the file exists. False for a name that the system does not allow."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, a loop of links, a NUL
        return False


class DefectFile(pytest.File):
    """A file of ``rolecall_defects``."""

    def collect(self) -> Iterator[DefectItem]:
        """One test: the defect must be caught."""
        try:
            defect = Defect.read(self.path, self.config.rootpath)
        except RolecallError as error:
            raise self.CollectError(str(error)) from None
        yield DefectItem.from_parent(self, name=defect.name, defect=defect)


class DefectItem(TrialItem):
    """Passes if each of the tests that a defect names fails with it, and passes without it."""

    def __init__(self, *, defect: Defect, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.defect = defect

    def reportinfo(self) -> tuple[Path, int, str]:
        """The file and the title of the defect."""
        return self.path, 0, f"{self.defect.name}: {self.defect.title}"

    def try_out(self, worker: Worker, nextitem: pytest.Item | None) -> None:
        """Apply the defect and run the tests that it names, one line after the other."""
        defect = self.defect
        for name in defect.caught_by:
            tests = self.tests(name)
            with self.apply(worker):
                failing = first_failing(tests, nextitem)
            if failing is None:
                text = f"{defect.name} was not caught by {name} ({len(tests)} tests): {defect.title}"
                raise NotCaughtError(f"{text}\n  applied from {self.path}")
            if first_failing([failing], nextitem):
                raise NotCaughtError(f"{failing.nodeid} fails without {defect.name} too: it proves nothing.")

    def apply(self, worker: Worker) -> Any:
        """Apply the defect for a block: in the database, or in place of a script."""
        if self.defect.instead_of:
            scripts = {script.path for phase in worker.phases.values() for script in phase.scripts}
            if self.defect.instead_of not in scripts:
                raise RolecallError(f"{self.path}: -- instead of: {self.defect.instead_of} is not a script of a phase.")
            return worker.trial(scripts={self.defect.instead_of: self.defect.path})
        return worker.trial(lambda connection: files.run(connection, self.defect.path, role=worker.manifest.role))

    def tests(self, name: str) -> list[pytest.Item]:
        """The tests with the id ``name``, or of the function or class ``name``. Raises RolecallError without any."""
        path = self.config.rootpath / name.split("::")[0]
        if not path.is_file():
            raise RolecallError(f"{self.path}: -- caught by: {name}: the file {path} does not exist.")
        tests = [
            item
            for item in collect(self, path)
            if item.nodeid == name or item.nodeid.startswith((name + "[", name + "::"))
        ]
        if not tests:
            raise RolecallError(f"{self.path}: -- caught by: {name}: no test has an id that starts with it.")
        return tests
