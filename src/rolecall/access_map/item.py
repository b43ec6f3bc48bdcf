"""The lock file as tests: one for the access after all phases, and one for that after each earlier phase."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rolecall.collect import grids_of
from rolecall.errors import RolecallError
from rolecall.process.process import process_of
from rolecall.report.access import HEAD, AccessMap

ADVICE = "If that is right, run pytest --rolecall-update and commit {name}. If not, correct the SQL."


class AccessChangedError(AssertionError):
    """The measured access is not that of the lock file."""


class AccessLockFile(pytest.File):
    """The file of ``rolecall_access_lock``."""

    def collect(self) -> Iterator[AccessItem]:
        """A test for each phase after which tests run."""
        phases = process_of(self.config).earlier_phases
        for phase, name in [(HEAD, "all phases"), *((number, f"after phase {number}") for number in phases)]:
            yield AccessItem.from_parent(self, name=name, phase=phase)


class AccessItem(pytest.Item):
    """A test: the access after one phase is that of the lock file."""

    fixturenames = ("rolecall_db",)  # it needs a database, as a test with this fixture does

    def __init__(self, *, phase: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.phase = phase
        self.measured: AccessMap | None = None  # with --rolecall-update

    def runtest(self) -> None:
        """Measure, and compare with the lock file. With ``--rolecall-update``, only measure."""
        from rolecall.access_map import reader
        from rolecall.access_map.mismatch import mismatch

        process = process_of(self.config)
        measured = self._measure()
        if process.settings.update:
            self.measured = measured
            return
        written = reader.read(self.path)
        if self.phase not in written:
            raise AccessChangedError(f"{self.path.name} says nothing of {self.name}.\n{self._advice}")
        if problems := list(mismatch(written, self.phase, measured)):
            where = "" if self.phase == HEAD else f" {self.name}"
            lines = "\n".join(f"  {line}" for line in problems)
            raise AccessChangedError(f"the access{where} is not that of {self.path.name}:\n{lines}\n{self._advice}")

    @property
    def _advice(self) -> str:
        return ADVICE.format(name=self.path.name)

    def _measure(self) -> AccessMap:
        from rolecall.access_map.measure import measure

        worker = process_of(self.config).get_worker()
        grids = grids_of(self)
        if self.phase == HEAD:
            with worker.without_coverage() as connection:
                return measure(connection, worker.world, grids)
        earlier = worker.earlier(self.phase)
        return measure(earlier.connection, earlier.world, grids)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The explanation, without a traceback that would only show rolecall."""
        if isinstance(excinfo.value, AccessChangedError | RolecallError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The lock file."""
        return self.path, 0, self.name
