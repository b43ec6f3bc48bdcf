"""pytest's hooks for ``--rolecall-report``: at the end of the run, the first process writes what machines read."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import pytest

from rolecall import required_grids
from rolecall.catalog import places
from rolecall.errors import RolecallError
from rolecall.gather import cells, run
from rolecall.process.process import Process
from rolecall.report import github, sarif
from rolecall.report.report import ReportedRun, ReportedTests, as_json
from rolecall.report.results import CoverageCount, MutationScore
from rolecall.server import choose
from rolecall.sql.text import display_path

SARIF, MUTANTS_SARIF = "rolecall.sarif", "mutants.sarif"
NO_OUTCOMES = ("", "warnings", "deselected")  # pytest's categories that are no outcome of a test
COMPLETE = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
MISSING_ROW = "rolecall::world"
VERSION = version("rolecall")


class RunHooks(Protocol):
    """What the hooks of a run know at its end."""

    counts: list[CoverageCount]
    problems: list[str]
    missing_rows: list[str]


class ReportPlugin:
    """Collects the failed tests of all workers, and writes the reports of a run in the first process."""

    def __init__(self, process: Process, hooks: RunHooks, folder: Path) -> None:
        self.process, self.hooks, self.folder = process, hooks, folder
        self.failed = run.FailedTests()
        self.annotations: list[str] = []
        self.written: list[Path] = []
        self.problem = ""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add to the report of a failed test the cells that it is about."""
        report = yield
        if report.failed and call.excinfo:
            cells.attach(report, call.excinfo.value)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect a failed test. In the first process, these are the reports of all workers."""
        self.failed.add(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Collect a file that cannot be collected."""
        self.failed.add(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the reports, if there are results. A failure to write costs a warning, not the run."""
        has_results = session.exitstatus in COMPLETE or self.failed.reports
        if self.process.is_worker or session.config.option.collectonly or not has_results:
            return
        mutants = session.config.pluginmanager.getplugin("rolecall-mutants")
        try:
            files = self._of_mutants(session.config, mutants) if mutants else self._of_tests(session)
            for name, text in files:
                self._write(name, text)
        except OSError as error:
            self.problem = f"{self.folder}: the reports cannot be written: {error.strerror or error}."
        except RolecallError as error:
            self.problem = f"the reports are not complete: {error}"

    def _write(self, name: str, text: str) -> None:
        """Write a file. Until it is complete, readers see the former one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path, part = self.folder / name, self.folder / f".{name}.{os.getpid()}"
        try:
            # A name of a file that is not UTF-8 becomes an escape, which JSON has, too.
            part.write_text(text, encoding="utf-8", errors="backslashreplace")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        self.written.append(path)

    def _of_tests(self, session: pytest.Session) -> Iterator[tuple[str, str]]:
        """The files of a run of tests, by their name."""
        root, process = session.config.rootpath, self.process
        known = places.of(process.settings, root)
        failures = [
            *self.failed.as_reported(known),
            *run.untested(required_grids.ID, self.hooks.problems, known),
            *run.untested(MISSING_ROW, self.hooks.missing_rows, known),
        ]
        reporter: Any = session.config.pluginmanager.getplugin("terminalreporter")
        stats: dict[str, list[Any]] = reporter.stats if reporter else {"failed": failures}
        outcomes = {name: len(reports) for name, reports in stats.items() if reports and name not in NO_OUTCOMES}
        settings, template, folder = process.settings, process.template, _folder_in_repository(root)
        finished = ReportedRun(
            rolecall=VERSION,
            server=template.run.server if template else choose.describe(settings),
            default_privileges=settings.default_privileges,
            seed=settings.world_seed,
            tests=ReportedTests(outcomes, round(time.monotonic() - process.started, 3), failures),
            coverage=self.hooks.counts or process.count(),
            complete=session.exitstatus in COMPLETE,
        )
        self.annotations = list(github.of_failures(failures, folder))
        yield run.FILE, as_json(finished)
        yield SARIF, sarif.log(sarif.of_failures(failures), version=VERSION, category="rolecall", folder=folder)

    def _of_mutants(self, config: pytest.Config, plugin: Any) -> Iterator[tuple[str, str]]:
        """The files of a run of mutants, by their name."""
        from rolecall.gather import mutants  # takes 0.1 s to import, and few runs need it
        from rolecall.report import stryker

        folder = _folder_in_repository(config.rootpath)
        tried, sources = mutants.tried(plugin.records, places.of(self.process.settings, config.rootpath))
        score = MutationScore(dict(plugin.outcomes), round(time.monotonic() - plugin.started, 3))
        self.annotations = list(github.of_mutants(tried, folder))
        yield mutants.FILE, stryker.report(tried, sources, score, VERSION)
        findings = sarif.of_mutants(tried)
        yield MUTANTS_SARIF, sarif.log(findings, version=VERSION, category="rolecall-mutants", folder=folder)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
        """Below everything, name the files; where GitHub Actions reads the output, print the annotations."""
        yield
        if self.problem:
            terminalreporter.write_line(f"WARNING: --rolecall-report: {self.problem}", yellow=True)
        if self.written:
            terminalreporter.write_line(f"reports: {', '.join(map(display_path, self.written))}")
        if os.environ.get("GITHUB_ACTIONS") == "true":
            for line in self.annotations:
                terminalreporter.write_line(line)


def _folder_in_repository(root: Path) -> str:
    """The project's folder in its repository, with a slash at its end; empty if it is the repository."""
    for folder in (root, *root.parents):
        if (folder / ".git").exists():
            relative = root.relative_to(folder).as_posix()
            return "" if relative == "." else f"{relative}/"
    return ""
