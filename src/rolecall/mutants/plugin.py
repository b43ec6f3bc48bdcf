"""pytest's hooks for ``--rolecall-mutants``: mutants in place of tests, counted and reported."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import pytest

from rolecall.catalog.definitions import Schema, read
from rolecall.defects.files import DefectItem
from rolecall.errors import RolecallError
from rolecall.item import CellItem
from rolecall.mutants import OPERATORS, runner
from rolecall.mutants.equivalents import Equivalents
from rolecall.mutants.operators.operator import Mutant, Operator
from rolecall.mutants.progress import Progress
from rolecall.mutants.selection import Suite
from rolecall.mutants.since import changed
from rolecall.process.process import Process
from rolecall.report import terminal
from rolecall.report.results import MutationScore

REFUSED = "rolecall refused"  # the key of a worker's error, sent to the controller


class MutantsPlugin:
    """Replaces the collected tests by one item for each mutant, and counts their outcomes."""

    def __init__(self, process: Process) -> None:
        self.process, self.settings = process, process.settings
        self.outcomes = Counter[str]()
        self.started = time.monotonic()
        self.session: pytest.Session | None = None
        self.refused = ""
        self.progress: Progress | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Replace the tests by mutants; the mutants are tried against the tests."""
        if session.testsfailed:
            return
        # Thousands of tests will fail, as they should, and nobody reads how: a plain traceback is enough.
        session.config.option.tbstyle = "native"
        try:
            items[:] = self.collect(session, items)
        except RolecallError as error:
            output = getattr(session.config, "workeroutput", None)
            if output is None:
                raise pytest.UsageError(str(error)) from None
            items[:], output[REFUSED] = [], str(error)  # in one of xdist's workers an exception would be a crash

    def collect(self, session: pytest.Session, tests: list[pytest.Item]) -> list[pytest.Item]:
        """The mutants that the options ask for. If these are all, also the collected defects, which are mutants
        written by hand. Raises RolecallError if there is no mutant."""
        worker, suite = self.process.get_worker(), suite_of(tests)
        schema = read(worker.connection, worker.manifest, worker.world, worker.phases.values())
        # Mutants of scripts need tests that run the scripts.
        possible = [
            (operator, mutant) for operator, mutant in every(schema) if not mutant.script or suite.migration_tests
        ]
        chosen = [(operator, mutant) for operator, mutant in possible if self.wanted(operator, mutant)]
        if not chosen:
            operators = ", ".join(operator.name for operator in OPERATORS)
            text = "--rolecall-mutants: there is no mutant of what the options name."
            raise RolecallError(f"{text} The operators are: {operators}.")
        equivalents = Equivalents.read(self.settings.equivalents)
        mutants = runner.items(session, chosen, suite, equivalents)
        if len(chosen) < len(possible):
            return list[pytest.Item](mutants)
        equivalents.check(item.mutant.id for item in mutants)
        return [*mutants, *(item for item in tests if isinstance(item, DefectItem))]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker had to refuse."""
        self.refused = getattr(node, "workeroutput", {}).get(REFUSED, self.refused)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail as it would without workers."""
        if self.refused:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def wanted(self, operator: Operator, mutant: Mutant) -> bool:
        """Whether the options ask for this mutant."""
        settings, target = self.settings, str(mutant.target)
        return (
            settings.mutants_operator in ("", operator.name)
            and settings.mutants_of in f"{target} {mutant.concerns}"
            and (not settings.mutants_since or not {target, mutant.concerns}.isdisjoint(self.changed))
        )

    @cached_property
    def changed(self) -> set[str]:
        """What ``--rolecall-mutants-since`` asks for; nothing without migrations."""
        folder = self.settings.migrations
        return changed(folder, self.settings.mutants_since) if folder else set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Say killed and survived where pytest says passed and failed."""
        properties = dict(report.user_properties)
        outcome = properties.get(runner.OUTCOME)
        alone = self.progress is not None and self.progress.in_use  # the progress line shows it
        if alone and report.when == "call" and report.passed and outcome is None:
            return "passed", "", ("PASSED", {"green": True})
        if report.when != "call" or outcome is None or (report.failed and outcome != "survived"):
            return None
        letter = "" if alone else {"killed": ".", "survived": "S", "invalid": "i", "equivalent": "e"}[outcome]
        word = f"KILLED by {properties[runner.KILLER]}" if outcome == "killed" else outcome.upper()
        return outcome, letter, (word, {terminal.COLOURS[outcome]: True})

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Begin the progress line, where this process has the terminal."""
        reporter = session.config.pluginmanager.getplugin("terminalreporter")
        self.session, self.progress = session, Progress(reporter) if reporter else None

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count the outcome, and show the progress."""
        if report.when == "call":
            outcome = dict(report.user_properties).get(runner.OUTCOME, "killed")  # a defect has none
            self.outcomes["error" if report.failed and outcome != "survived" else outcome] += 1
            if self.progress and self.session:
                self.progress.show(self.outcomes, self.session.testscollected, time.monotonic() - self.started)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The survivors, the score and the speed."""
        if self.refused:
            terminalreporter.write_line(f"ERROR: {self.refused}", red=True)
        score = MutationScore(self.outcomes, time.monotonic() - self.started)
        if not score.total:
            return
        if self.progress:
            self.progress.end()
        for report in terminalreporter.stats.get("survived", []):
            terminalreporter.section("survived", sep="_", red=True, bold=True)
            terminalreporter.line(report.longreprtext)
        terminalreporter.section("mutants", sep="-")
        terminalreporter.line(terminal.mutation_score(score))


def suite_of(items: list[pytest.Item]) -> Suite:
    """The collected tests, as the suite that mutants are tried against."""
    grids = dict.fromkeys(item.grid for item in items if isinstance(item, CellItem))
    return Suite(list(grids), [item for item in items if isinstance(item, pytest.Function)])


def every(schema: Schema) -> Iterator[tuple[Operator, Mutant]]:
    """Every mutant of every operator."""
    for operator in OPERATORS:
        for mutant in operator.mutants(schema):
            yield operator, mutant
