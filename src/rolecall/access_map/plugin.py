"""pytest's hooks for the lock file: it is collected as tests, and written with ``--rolecall-update``."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from rolecall.access_map.item import AccessItem, AccessLockFile
from rolecall.collect import note_grids
from rolecall.process.process import Process
from rolecall.report.access import HEAD, AccessMap
from rolecall.required_grids import is_whole_suite

ATTRIBUTE = "rolecall_access"  # of a report: the text of what an item measured; pytest sends it between processes
PASSED = "rolecall_access_phase"  # of a report: the phase of an item that passed


class AccessLockPlugin:
    """Collects the lock file ``path``, and writes it."""

    def __init__(self, process: Process, path: Path) -> None:
        self.process, self.path = process, path
        self.updates = process.settings.update
        self.measured: dict[int, AccessMap] = {}
        self.passed: set[int] = set()  # phases
        self.message = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Create the file, so that it is collected. Raises pytest's UsageError if it must exist and does not."""
        if self.path.is_file() or self.process.is_worker or session.config.option.collectonly:
            return
        if not self.updates:
            raise pytest.UsageError(f"{self.path} does not exist: pytest --rolecall-update writes it.")
        from rolecall.access_map.text import TITLE

        self.path.write_text(TITLE, encoding="utf-8")

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> AccessLockFile | None:
        """Collect the lock file."""
        return AccessLockFile.from_parent(parent, path=file_path) if file_path == self.path else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Note the grids before any option deselects a cell.

        A run of mutants has no test of the lock file: it has what was observed, and no person has decided it.
        """
        note_grids(session, items)
        if self.process.settings.mutants:
            items[:] = [item for item in items if not isinstance(item, AccessItem)]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add its phase, and what it has measured, to the report of an item."""
        report = yield
        if isinstance(item, AccessItem) and report.when == "call" and report.passed:
            setattr(report, PASSED, item.phase)
        if isinstance(item, AccessItem) and item.measured and report.when == "call":
            from rolecall.access_map import text

            setattr(report, ATTRIBUTE, [item.phase, text.write({HEAD: item.measured})])
            item.measured = None
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect what the items have measured, in the first process."""
        if self.process.is_worker:
            return
        if (phase := getattr(report, PASSED, None)) is not None:
            self.passed.add(phase)
        if found := getattr(report, ATTRIBUTE, None):
            from rolecall.access_map import reader

            phase, written = found
            self.measured[phase] = reader.parse(written, self.path.name)[HEAD]

    def pytest_sessionfinish(self) -> None:
        """Write the file, if everything was measured."""
        if self.process.is_worker or not self.updates:
            return
        if {*self.measured} != {HEAD, *self.process.earlier_phases}:
            self.message = f"{self.path.name} is not written: not all of its tests ran"
            return
        from rolecall.access_map import text

        new = text.write(self.measured)
        if self.path.read_text(encoding="utf-8") != new:
            self.path.write_text(new, encoding="utf-8")
            self.message = f"wrote {self.path.name}: git diff shows who gained and lost access"

    @pytest.hookimpl(trylast=True)  # below the counts
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was written, or that the access is that of the file."""
        if self.message:
            terminalreporter.write_line(f"rolecall: {self.message}")
        elif not self.updates and self.passed == {HEAD, *self.process.earlier_phases}:
            page = "" if self.process.settings.report else "; --rolecall-report FOLDER shows it as a page"
            terminalreporter.write_line(f"rolecall: who can do what is as in {self.path.name}{page}", green=True)
        elif not self.process.is_worker and self._is_forgotten(terminalreporter.config):
            terminalreporter.write_line(f"rolecall: {self.path} was not collected: move it into a folder of testpaths")

    def _is_forgotten(self, config: pytest.Config) -> bool:
        testpaths = [config.rootpath / each for each in config.getini("testpaths")]
        inside = not testpaths or any(self.path.is_relative_to(each) for each in testpaths)
        return not inside and is_whole_suite(config)
