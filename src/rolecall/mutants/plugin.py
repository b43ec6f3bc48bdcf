"""pytest's hooks for ``--mutants``: mutants in place of tests, counted, and reported."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import pytest

from rolecall.catalog.definitions import Schema, read
from rolecall.defects.files import DefectItem
from rolecall.errors import RolecallError
from rolecall.mutants import OPERATORS, runner
from rolecall.mutants.equivalents import Equivalents
from rolecall.mutants.operators.operator import Mutant, Operator
from rolecall.mutants.progress import Progress
from rolecall.mutants.selection import Suite
from rolecall.mutants.since import changed
from rolecall.settings import Settings
from rolecall.worker import Worker

REFUSED = "rolecall refused"  # what a worker tells the controller
COLOURS = {"killed": "green", "survived": "red", "invalid": "yellow", "equivalent": "blue"}


class Mutants:
    """Puts an item for each mutant where the tests were that pytest collected, and counts what became of them.

    ``suite`` makes of the collected tests what mutants are tried against.
    """

    def __init__(
        self,
        settings: Settings,
        worker: Callable[[], Worker],
        suite: Callable[[list[pytest.Item]], Suite],
    ) -> None:
        self.settings, self.worker, self.suite = settings, worker, suite
        self.outcomes = Counter[str]()
        self.started = time.monotonic()
        self.session: pytest.Session | None = None
        self.refused = ""
        self.progress: Progress | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Exchange the tests for mutants; the tests are what those are tried against."""
        if session.testsfailed:
            return
        # Thousands of tests will fail, as they should, and nobody looks at how: a plain traceback will do.
        session.config.option.tbstyle = "native"
        try:
            items[:] = self.collect(session, items)
        except RolecallError as error:
            told = getattr(session.config, "workeroutput", None)
            if told is None:
                raise pytest.UsageError(str(error)) from None
            items[:], told[REFUSED] = [], str(error)  # in one of xdist's workers it would be a crash

    def collect(self, session: pytest.Session, tests: list[pytest.Item]) -> list[pytest.Item]:
        """The mutants that were asked for, and if these are all, the defects that were collected, which are
        mutants made by hand. Raises RolecallError if there are none."""
        here = self.worker()
        suite = self.suite(tests)
        schema = read(here.connection, here.built, here.world, here.phases.values())
        # Where no test runs the scripts, none could notice what is wrong with them: that is not asked then.
        there = [(operator, mutant) for operator, mutant in every(schema) if not mutant.script or suite.migrates]
        chosen = [(operator, mutant) for operator, mutant in there if self.wanted(operator, mutant)]
        if not chosen:
            operators = ", ".join(operator.name for operator in OPERATORS)
            raise RolecallError(f"--mutants: nothing that was asked for can be broken. The operators are: {operators}.")
        equivalents = Equivalents.read(self.settings.equivalents)
        made = runner.items(session, chosen, suite, equivalents)
        if len(chosen) == len(there):
            equivalents.check(item.mutant.id for item in made)
        defects = [item for item in tests if isinstance(item, DefectItem)]
        return [*made, *defects] if len(chosen) == len(there) else list[pytest.Item](made)

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
        return (
            self.settings.operator in ("", operator.name)
            and self.settings.mutants_of in f"{mutant.object} {mutant.concerns}"
            and (not self.settings.since or not {mutant.object, mutant.concerns}.isdisjoint(self.changed))
        )

    @cached_property
    def changed(self) -> set[str]:
        """What ``--since`` asks for."""
        assert self.settings.migrations
        return changed(self.settings.migrations, self.settings.since)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Say killed and survived where pytest says passed and failed."""
        told = dict(report.user_properties)
        outcome = told.get(runner.OUTCOME)
        alone = self.progress is not None and self.progress.in_use  # the line says it
        if alone and report.when == "call" and report.passed and outcome is None:
            return "passed", "", ("PASSED", {"green": True})
        if report.when != "call" or outcome is None or (report.failed and outcome != "survived"):
            return None
        letter = "" if alone else {"killed": ".", "survived": "S", "invalid": "i", "equivalent": "e"}[outcome]
        word = f"KILLED by {told[runner.KILLER]}" if outcome == "killed" else outcome.upper()
        return outcome, letter, (word, {COLOURS[outcome]: True})

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Begin the progress line, where this process has the terminal."""
        reporter = session.config.pluginmanager.getplugin("terminalreporter")
        self.session, self.progress = session, Progress(reporter) if reporter else None

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count, and say how far it has come."""
        if report.when == "call":
            told = dict(report.user_properties).get(runner.OUTCOME, "killed")  # a defect has none
            self.outcomes["error" if report.failed and told != "survived" else told] += 1
            if self.progress and self.session:
                self.progress.show(self.outcomes, self.session.testscollected, time.monotonic() - self.started)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The score, and how fast it came about."""
        if self.refused:
            terminalreporter.write_line(f"ERROR: {self.refused}", red=True)
        counts, seconds = self.outcomes, time.monotonic() - self.started
        counted = counts["killed"] + counts["survived"]
        if not sum(counts.values()):
            return
        if self.progress:
            self.progress.end()
        for report in terminalreporter.stats.get("survived", []):
            terminalreporter.section("survived", sep="_", red=True, bold=True)
            terminalreporter.line(report.longreprtext)
        terminalreporter.section("mutants", sep="-")
        score = f"{100 * counts['killed'] / counted:.1f}%" if counted else "no score"
        told = [f"{counts[outcome]} {outcome}" for outcome in (*COLOURS, "error") if counts[outcome]]
        terminalreporter.line(f"{', '.join(told)} · score {score} · {sum(counts.values()) / seconds:.0f} a second")


def every(schema: Schema) -> Iterator[tuple[Operator, Mutant]]:
    """Every mutant of every operator."""
    for operator in OPERATORS:
        for mutant in operator.mutants(schema):
            yield operator, mutant
