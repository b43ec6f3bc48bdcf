"""The hooks of a run: start the server, build the databases before the first test, count and report the coverage."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rolecall import required_grids
from rolecall.catalog.manifest import Manifest
from rolecall.defects.files import DefectFile
from rolecall.defects.trial import TrialItem
from rolecall.digest.tally import Tally
from rolecall.dump import left_out
from rolecall.errors import RolecallError
from rolecall.fixtures import needs_database
from rolecall.item import CellItem
from rolecall.process.ending import Ending
from rolecall.process.process import MESSAGE, Process
from rolecall.report import summary
from rolecall.report.progress import BuildProgress, no_progress
from rolecall.report.results import CellTally, CoverageCount
from rolecall.server import choose, signals

DESELECTED = "deselected"  # the fact that an option left out a test
WORLD = "rolecall::world"  # the id of the error of a row that is missing


class RunHooks:
    """pytest's hooks for a project that uses rolecall."""

    def __init__(self, process: Process, ending: Ending, cells: Tally) -> None:
        self.process, self.settings, self.ending, self.cells = process, process.settings, ending, cells
        self.counts: list[CoverageCount] = []
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.missing_rows: list[str] = []
        self.ended_early = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Start the server, if it does not start yet: xdist's workers need its address."""
        if self.process.is_worker or self.process.has_server or session.config.option.collectonly:
            return
        self.process.announce()
        if self.process.distributes:
            with usage_error():
                self.process.launch()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Send a worker the names of the databases. They are built while it starts and collects."""
        if self.process.run:
            node.workerinput[MESSAGE] = self.process.run.as_json()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Add the coverage that a worker recorded."""
        self.process.add_facts(getattr(node, "workeroutput", {}).get(MESSAGE, []))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Record which tables have a grid, before any option deselects tests."""
        self.process.recorder.facts |= {("grid", item.grid.table) for item in items if isinstance(item, CellItem)}

    def pytest_deselected(self) -> None:
        """Record that tests were left out. A worker sends this to the first process."""
        self.process.recorder.facts.add((DESELECTED,))

    @property
    def _is_whole_suite(self) -> bool:
        deselects = (DESELECTED,) in self.process.recorder.facts
        return required_grids.is_whole_suite(self.process.config, deselects=deselects)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Build the databases before the first test: an error in the SQL is one error, not one for each test."""
        if session.testsfailed or session.config.option.collectonly:
            return
        self.process.select((item.grid, item.cell) for item in session.items if isinstance(item, CellItem))
        if self.process.distributes or self.settings.coverage or any(map(_needs_database, session.items)):
            with usage_error():
                self._build()

    def _build(self) -> None:
        reporter = self.process.config.pluginmanager.getplugin("terminalreporter")
        progress = BuildProgress(reporter) if reporter else None
        try:
            self.process.build(progress or no_progress)
        except (RolecallError, psycopg.Error) as error:
            self.ending.end_workers(signal.SIGTERM)  # they would wait for tests, and xdist would wait for them
            if outage := self.ending.find_outage(error, templates=False):
                raise RolecallError(outage.text) from None
            raise
        finally:
            if progress:
                progress.end()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Send the recorded coverage to the first process.

        The first process fails the run if something is not covered, or if a table has no grid.
        """
        process = self.process
        self.ended_early = bool(_is_interrupted(session) or session.shouldstop or session.shouldfail)
        if process.worker:
            process.recorder.merge(process.worker.recorder.as_json())
        if process.is_worker:
            session.config.workeroutput[MESSAGE] = process.recorder.as_json()  # type: ignore[attr-defined]
        elif not self.ending.outage and not self.settings.mutants:
            self._require_completeness(session)

    def _require_completeness(self, session: pytest.Session) -> None:
        """Fail the run if something is not covered, if a table has no grid, or if a row of the world is missing."""
        if self.settings.coverage:
            self.counts = self.process.count()
        world = self.process.world
        is_known = not _is_interrupted(session)  # else a worker may not have sent which grids it collected
        if self.process.template and is_known and self._is_whole_suite:
            facts, manifest = self.process.recorder.facts, self.process.template.manifest
            grids = {fact[1] for fact in facts if fact[0] == "grid"}
            ran = {(fact[1], fact[2]) for fact in facts if fact[0] == "ran"}
            tried = required_grids.Tried(grids, ran, world.personas)
            self.problems = list(required_grids.problems(manifest, tried, self.settings.tables_without_grid))
            self.notes = list(required_grids.notes(manifest, tried))
            if self.settings.undecided == "fail":
                self.problems += [f"{text}." for text in self._undecided]
        self.missing_rows = [world.problem(*key) for key in world.missing]
        is_incomplete = self.problems or self.missing_rows or any(count.missing for count in self.counts)
        if session.exitstatus == pytest.ExitCode.OK and is_incomplete:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_report_header(self) -> str:
        """The server, the default privileges and the seed of this run."""
        settings = self.settings
        privileges = f"default privileges {settings.default_privileges}"
        return f"rolecall: {choose.describe(settings)}; {privileges}; seed {settings.world_seed}"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Report what was proven, and the coverage."""
        template = self.process.template
        if template and not self.settings.mutants and not self.ending.outage:
            cells = self.cells.count()
            summary.write_summary(
                terminalreporter,
                template.run.server,
                self.settings,
                cells,
                self.counts or self.process.count(),
                time.monotonic() - self.process.started,
                self._gaps(terminalreporter, cells),
                [*self._notes(template.manifest), *self.notes],
                [*self.problems, *self.missing_rows],
            )
            errors = [_error(required_grids.ID, problem) for problem in self.problems]
            errors += [_error(WORLD, problem) for problem in self.missing_rows]
            if errors:  # the last line counts them, and is red: also for an empty list
                terminalreporter.stats.setdefault("error", []).extend(errors)

    def _gaps(self, reporter: pytest.TerminalReporter, cells: CellTally) -> list[str]:
        """What this run does not prove."""
        gaps = summary.gaps(
            cells,
            skipped=len(reporter.stats.get("skipped", [])),
            deselected=len(reporter.stats.get("deselected", [])),
            ended_early=self.ended_early,
            is_selection=not self._is_whole_suite,
        )
        return gaps + (self._undecided if self.settings.undecided != "fail" else [])

    @property
    def _undecided(self) -> list[str]:
        """What is left out of the required grids, and nobody has said why."""
        return list(required_grids.undecided(self.settings.tables_without_grid))

    def _notes(self, manifest: Manifest) -> list[str]:
        """What was left out of the baseline, if it is a dump, and the notes on the migrations."""
        if not manifest.left_out:
            return manifest.notes
        verbose = self.process.config.get_verbosity() > 0
        advice = "" if verbose else "; pytest -v lists them"
        first = f"{len(manifest.left_out)} statements of the baseline were left out or replaced{advice}:"
        return ["\n".join([first, *left_out.lines(manifest.left_out, verbose=verbose)]), *manifest.notes]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Run a trial. It runs other tests, so it replaces the whole of pytest's protocol."""
        if not isinstance(item, TrialItem):
            return None
        item.protocol(self.process.get_worker(), nextitem)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count what a test covered if the test passed."""
        if self.process.worker and (not report.passed or report.when == "teardown"):
            self.process.worker.recorder.finish(passed=report.passed)

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> DefectFile | None:
        """Collect the SQL files in the folder ``rolecall_defects``."""
        if file_path.suffix == ".sql" and file_path.parent == self.settings.defects:
            return DefectFile.from_parent(parent, path=file_path)
        return None


def _is_interrupted(session: pytest.Session) -> bool:
    """Whether Ctrl-C, a signal or an internal error ended the run."""
    ends = pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED
    return signals.ended_by() is not None or session.exitstatus not in ends


def _error(name: str, problem: str) -> pytest.TestReport:
    """A problem of the whole run, as pytest lists an error."""
    return pytest.TestReport(name, ("", None, name), {}, "failed", problem, "setup")


def _needs_database(item: pytest.Item) -> bool:
    return isinstance(item, CellItem | TrialItem) or needs_database(item)


@contextmanager
def usage_error() -> Iterator[None]:
    """Show a RolecallError as one error, without a traceback."""
    try:
        yield
    except RolecallError as error:
        raise pytest.UsageError(str(error)) from None
