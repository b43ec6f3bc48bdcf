"""pytest's hooks for ``--rolecall-mutants``: mutants replace the tests, and are counted and reported."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import pytest

from rolecall.catalog.definitions import Schema, read
from rolecall.catalog.dependents import dependents
from rolecall.defects.files import DefectItem
from rolecall.errors import RolecallError
from rolecall.mutants import OPERATORS, history, records, runner, survivors
from rolecall.mutants.declarations import Declarations
from rolecall.mutants.operators.operator import Mutant, Operator
from rolecall.mutants.progress import Progress
from rolecall.mutants.reach import out_of_reach
from rolecall.mutants.records import UNNOTICED, Record
from rolecall.mutants.selection import Suite
from rolecall.mutants.since import changed
from rolecall.mutants.survivors import Surviving
from rolecall.mutants.witness import Witnesses
from rolecall.process.process import Process
from rolecall.report import terminal
from rolecall.report.results import MUTANTS, MutationScore

LETTERS = {"killed": ".", "pinned": "p", "survived": "S", "invalid": "i", "equivalent": "e"}
NOTHING = (
    "--rolecall-mutants breaks what the migrations make, and they make nothing: set rolecall_migrations. It may name "
    "one SQL file, also the one that rolecall_baseline names now."
)
ERROR = "rolecall mutants error"  # the key of the error that a worker sends to the controller


class MutantsPlugin:
    """Replaces the collected tests with one item for each mutant, and counts the outcomes."""

    def __init__(self, process: Process) -> None:
        self.process, self.settings = process, process.settings
        self.outcomes = Counter[str]()
        self.started = time.monotonic()
        self.session: pytest.Session | None = None
        self.error = ""
        self.progress: Progress | None = None
        self.records: list[Record] = []  # in the first process, with --rolecall-report
        self.killers: dict[str, str] = {}  # for the history

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Replace the tests with mutants, which run the tests themselves."""
        if session.testsfailed:  # a module cannot be collected; xdist would run the others, without a mutant
            items.clear()
            return
        # Thousands of tests fail on purpose, without a report: a native traceback is the fastest.
        session.config.option.tbstyle = "native"
        try:
            items[:] = self.collect(session, items)
        except RolecallError as error:
            output = getattr(session.config, "workeroutput", None)
            if output is None:
                raise pytest.UsageError(str(error)) from None
            items[:], output[ERROR] = [], str(error)  # an exception would crash xdist's worker

    def collect(self, session: pytest.Session, tests: list[pytest.Item]) -> list[pytest.Item]:
        """The mutants that the options select. Raises RolecallError without any.

        If they select all mutants, the result also has the collected defects, which are mutants written by hand.
        """
        worker = self.process.get_worker()
        suite = Suite(tests, dependents(worker.connection))
        schema = read(worker.connection, worker.manifest, worker.world, worker.phases.values())
        # Mutants of scripts need tests that run the scripts.
        possible = [
            (operator, replace(mutant, out_of_reach=out_of_reach(operator, mutant, schema)))
            for operator, mutant in all_mutants(schema)
            if not mutant.script or suite.migration_tests
        ]
        if not possible:
            raise RolecallError(NOTHING)
        selected = [(operator, mutant) for operator, mutant in possible if self.is_selected(operator, mutant)]
        if not selected:
            operators = ", ".join(operator.name for operator in OPERATORS)
            text = "--rolecall-mutants: the options select no mutant."
            raise RolecallError(f"{text} The operators are: {operators}.")
        declarations = Declarations.read(self.settings.equivalents, self.settings.pinned)
        mutants = runner.items(session, selected, suite, declarations, Witnesses(worker, schema, suite.grids))
        if len(selected) < len(possible):
            return list[pytest.Item](mutants)
        declarations.check(item.mutant.id for item in mutants)
        return [*mutants, *(item for item in tests if isinstance(item, DefectItem))]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Store the error of a worker."""
        self.error = getattr(node, "workeroutput", {}).get(ERROR, self.error)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Store the history, and fail as a run without workers does."""
        if not self.process.is_worker:
            history.store(session.config, self.killers)
        if self.error:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def is_selected(self, operator: Operator, mutant: Mutant) -> bool:
        """Whether the options select this mutant."""
        settings, target = self.settings, str(mutant.target)
        return (
            settings.mutants_operator in ("", operator.name)
            and (settings.mutants_of in f"{target} {mutant.concerns}" or settings.mutants_of == mutant.id)
            and (not settings.mutants_since or not {target, mutant.concerns}.isdisjoint(self.changed))
        )

    @cached_property
    def changed(self) -> set[str]:
        """The targets that ``--rolecall-mutants-since`` selects; none without migrations."""
        path = self.settings.migrations
        if path is None:
            return set()
        return changed(path if path.is_dir() else path.parent, self.settings.mutants_since)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add the mutant to its report, for ``--rolecall-report``."""
        report = yield
        if self.settings.report and report.when == "call" and isinstance(item, runner.MutantItem):
            records.attach(report, item, call.excinfo.value if call.excinfo else None)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Report killed and survived instead of passed and failed."""
        properties = dict(getattr(report, "user_properties", ()))  # a module that cannot be collected has none
        outcome = properties.get(runner.OUTCOME)
        has_progress_line = self.progress is not None and self.progress.in_use
        if has_progress_line and report.when == "call" and report.passed and outcome is None:
            return "passed", "", ("PASSED", {"green": True})
        if report.when != "call" or outcome is None or (report.failed and outcome not in UNNOTICED):
            return None
        letter = "" if has_progress_line else LETTERS[outcome]
        killer = properties[runner.KILLER] if outcome in ("killed", "pinned") else ""
        word = f"{outcome.upper()} by {killer}" if killer else outcome.upper()
        return outcome, letter, (word, {"red" if report.failed else terminal.COLOURS[outcome]: True})

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Create the progress line, if this process has the terminal."""
        reporter = session.config.pluginmanager.getplugin("terminalreporter")
        self.session, self.progress = session, Progress(reporter) if reporter else None

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count the outcome and show the progress."""
        if report.when == "call":
            properties = dict(report.user_properties)
            outcome = properties.get(runner.OUTCOME, "killed")  # a defect has none
            if history.KILLED_BY in properties:
                self.killers[report.nodeid.removeprefix(MUTANTS)] = properties[history.KILLED_BY]
            self.outcomes["error" if report.failed and outcome not in UNNOTICED else outcome] += 1
            if record := records.read(report):
                self.records.append(record)
            if self.progress and self.session:
                self.progress.show(self.outcomes, self.session.testscollected, time.monotonic() - self.started)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write the survivors, the score and the speed."""
        if self.error:
            terminalreporter.write_line(f"ERROR: {self.error}", red=True)
        score = MutationScore(self.outcomes, time.monotonic() - self.started)
        if not score.total:
            return
        if self.progress:
            self.progress.end()
        for outcome in UNNOTICED:
            self.write_unnoticed(terminalreporter, outcome)
        terminalreporter.section("mutants", sep="-")
        equivalent = (dict(report.user_properties) for report in terminalreporter.stats.get("equivalent", []))
        reasons = (properties.get(survivors.OUT_OF_REACH, "") for properties in equivalent)
        if line := survivors.out_of_reach(filter(None, reasons)):
            terminalreporter.line(line)
        terminalreporter.line(terminal.mutation_score(score))

    def write_unnoticed(self, reporter: pytest.TerminalReporter, outcome: str) -> None:
        """Write the mutants that survived, or that only a pin noticed: the worst first, and many as a list."""
        reports = [(_surviving(report), report) for report in reporter.stats.get(outcome, []) if report.failed]
        if len(reports) > survivors.MOST and reporter.verbosity <= 0:
            reporter.section(f"{len(reports)} {outcome}", sep="_", red=True, bold=True)
            for line in survivors.lines(each for each, _ in reports):
                reporter.line(line)
            return
        for _, report in sorted(reports, key=lambda pair: pair[0].rank):
            reporter.section(outcome, sep="_", red=True, bold=True)
            reporter.line(report.longreprtext)


def _surviving(report: pytest.TestReport) -> Surviving:
    """What a report says of a survivor. One that is declared, and that a test notices after all, comes first."""
    text = dict(report.user_properties).get(survivors.PROPERTY)
    return Surviving.from_text(str(text)) if text else Surviving((-1, 0, 0), "declared by mistake", "", report.nodeid)


def all_mutants(schema: Schema) -> Iterator[tuple[Operator, Mutant]]:
    """Every mutant of every operator."""
    for operator in OPERATORS:
        for mutant in operator.mutants(schema):
            yield operator, mutant
