"""Trials: put a defect back, run the tests that ought to notice, undo it, and say whether they did.

A defect is an SQL file that says which tests catch it::

    -- F10: the policies that keep anon out are permissive, and let everybody in
    -- caught by: tests/policies/test_customer_favorites.py::test_grid
    -- instead of: migrations/phase_1_critical_tables/rollback.sql    (only for a defect of a script)

It runs as the migration role in a transaction on the worker's own connection, so that the tests run
against it without a new process, server or database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psycopg
import pytest
from _pytest.runner import runtestprotocol

from rolecall.errors import RolecallError, SqlError
from rolecall.worker import Worker

# What a test says when the schema is not as it should be: anything else is an error of the test.
NOTICED = (AssertionError, psycopg.Error, SqlError)
RAISED = pytest.StashKey[type[BaseException]]()


@dataclass(frozen=True)
class Defect:
    """An SQL file that breaks something on purpose.

    ``caught_by`` are ids of tests, or of their beginnings; ``instead_of`` is the script that the file
    stands in for, if it is not SQL for the migrated database.
    """

    path: Path
    name: str
    title: str
    caught_by: tuple[str, ...]
    instead_of: Path | None

    @classmethod
    def read(cls, path: Path, root: Path) -> Defect:
        """Read the comments at the head of a file. Raises RolecallError if one is missing or wrong."""
        text = path.read_text(encoding="utf-8")
        head = re.match(r"-- (F\d+\w*): (.+)", text)
        caught_by = re.findall(r"^-- caught by: (.+)$", text, re.MULTILINE)
        instead_of = re.search(r"^-- instead of: (.+)$", text, re.MULTILINE)
        if not head:
            raise RolecallError(f"{path}:1: begin with the finding's number and what is broken: -- F10: …")
        if not caught_by:
            raise RolecallError(f"{path}:1: name a test that notices: -- caught by: tests/…::test_…")
        script = root / instead_of[1].strip() if instead_of else None
        if script and not script.is_file():
            raise RolecallError(f"{path}: -- instead of: {script} is not there.")
        return cls(path, head[1], head[2].strip(), tuple(name.strip() for name in caught_by), script)


class DefectFile(pytest.File):
    """A file of ``rolecall_findings``."""

    def collect(self) -> Iterator[DefectItem]:
        """One test: that the defect is noticed."""
        try:
            defect = Defect.read(self.path, self.config.rootpath)
        except RolecallError as error:
            raise self.CollectError(str(error)) from None
        yield DefectItem.from_parent(self, name=defect.name, defect=defect)


class DefectItem(pytest.Item):
    """Passes if every test that a defect names fails with it, and passes without it."""

    def __init__(self, *, defect: Defect, **rest: Any) -> None:
        super().__init__(**rest)
        self.defect = defect

    def runtest(self) -> None:
        """Never called: :func:`try_out` needs to know the item that comes next."""
        raise NotImplementedError

    def reportinfo(self) -> tuple[Path, int, str]:
        """The file, and what is broken in it."""
        return self.path, 0, f"{self.defect.name}: {self.defect.title}"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        """What was not noticed, without a traceback that would only show rolecall."""
        if isinstance(excinfo.value, NotNoticedError | RolecallError):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo, style))

    def tests(self, name: str) -> list[pytest.Item]:
        """The tests whose id is ``name`` or begins with it, collected afresh.

        They hang below this item's file, so that pytest sets them up and tears them down as its own.
        """
        path = self.config.rootpath / name.split("::")[0]
        if not path.is_file():
            raise RolecallError(f"{self.path}: -- caught by: {name}: there is no file {path}.")
        module = pytest.Module.from_parent(self.parent, path=path)
        items = self.session.genitems(module)
        found = [item for item in items if item.nodeid == name or item.nodeid.startswith((name + "[", name + "::"))]
        if not found:
            raise RolecallError(f"{self.path}: -- caught by: {name}: no test has an id that begins so.")
        return found


class NotNoticedError(AssertionError):
    """A defect that no test noticed."""


def try_out(item: DefectItem, worker: Worker, nextitem: pytest.Item | None) -> None:
    """Put the defect back and run its tests. Raises NotNoticedError for a test that does not mind."""
    for name in item.defect.caught_by:
        tests = item.tests(name)
        with worker.trial(item.defect.path, item.defect.instead_of):
            noticed = first_to_notice(tests, nextitem)
        if noticed is None:
            said = f"{item.defect.name} went unnoticed by {name} ({len(tests)} tests): {item.defect.title}"
            raise NotNoticedError(f"{said}\n  put back by {item.path}")
        if first_to_notice([noticed], nextitem):
            raise NotNoticedError(f"{noticed.nodeid} fails without {item.defect.name} too: it proves nothing.")


def first_to_notice(tests: list[pytest.Item], nextitem: pytest.Item | None) -> pytest.Item | None:
    """Run tests, unreported, until one fails because the schema is not as it should be.

    Raises RolecallError where one fails for another reason: that is an error, and no proof.
    """
    for test in tests:
        for report in runtestprotocol(test, log=False, nextitem=nextitem):
            if report.failed:
                raised = test.stash.get(RAISED, BaseException)
                if report.when != "call" or not issubclass(raised, NOTICED):
                    raise RolecallError(f"{test.nodeid} broke instead of failing:\n{report.longreprtext}")
                return test
    return None


def protocol(item: DefectItem, worker: Worker, nextitem: pytest.Item | None) -> None:
    """Run and report a DefectItem as pytest would: set up, call, tear down."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    phases: tuple[Literal["setup", "call", "teardown"], ...] = ("setup", "call", "teardown")
    for when in phases:
        call = pytest.CallInfo.from_call(
            (lambda: try_out(item, worker, nextitem)) if when == "call" else lambda: None,
            when=when,
            reraise=(KeyboardInterrupt, pytest.exit.Exception),
        )
        report = item.ihook.pytest_runtest_makereport(item=item, call=call)
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
