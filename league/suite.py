"""A pytest plugin: each case of the league is a test, which runs the tests of the schema that concern it.

``-p league.suite`` alone leaves out the tests that compare text with text, so that the rest is the suite by behaviour.
With ``--league-cases cases.json`` the cases take the tests' place, and ``--league-noticed noticed.json`` is where the
first test that fails is written for each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection, sql

from league.cases import ROOT, Case
from league.findings import shortened
from rolecall.defects.trial import TrialItem
from rolecall.errors import RolecallError
from rolecall.grids.grid import Grid
from rolecall.mutants.operators.operator import Mutant, Target
from rolecall.mutants.selection import PIN, Suite, grid_of
from rolecall.worker import Worker

# Tests that compare the catalog's text, or run scripts in databases of their own.
PINS = ("tests/migrations", "tests/policies/test_indexes.py", "tests/policies/test_catalog.py")
OTHERS = (
    *("rolecall", "defects", "types", "attacks", "conditions", "drift", "races", "features"),
    *("migrations_export", "monitor"),
)
LEFT_OUT = (*PINS, *(f"tests/{folder}" for folder in OTHERS))
NOTICED = "league noticed"  # the user property that a worker sends


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("league")
    group.addoption("--league-cases", type=Path, help="a JSON file with the cases, which replace the tests")
    group.addoption("--league-noticed", type=Path, help="where to write the test that noticed each case")


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin."""
    config.pluginmanager.register(LeaguePlugin(config), "league")


class LeaguePlugin:
    """Leaves out pins, replaces the tests with the cases, and writes what was noticed."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.noticed: dict[str, str | None] = {}
        self.problems: dict[str, str] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Leave out pins, and replace the tests with the cases."""
        items[:] = [item for item in items if is_behaviour(item)]
        if path := self.config.option.league_cases:
            self.config.option.tbstyle = "native"  # tests fail on purpose, without a report
            cases = map(Case.of, json.loads(path.read_text(encoding="utf-8")))
            suite = Suite(items)
            whole = [item for item in items if grid_of(item) or isinstance(item, pytest.Function)]
            items[:] = [
                CaseItem.from_parent(session, name=case.id, nodeid=case.id, case=case, suite=suite, whole=whole)
                for case in cases
            ]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Store the outcome of a case."""
        properties = dict(report.user_properties)
        if report.failed:
            self.problems[report.nodeid] = shortened(report.longreprtext.strip().splitlines()[-1])
        elif report.when == "call" and NOTICED in properties:
            self.noticed[report.nodeid] = str(properties[NOTICED]) or None

    def pytest_sessionfinish(self) -> None:
        """Write the outcomes in the first process."""
        path = self.config.option.league_noticed
        if path and not hasattr(self.config, "workerinput"):
            path.write_text(json.dumps([self.noticed, self.problems]), encoding="utf-8")


def is_behaviour(item: pytest.Item) -> bool:
    """Whether a test looks at what the schema does."""
    path = item.path.relative_to(ROOT).as_posix()
    return not item.get_closest_marker(PIN) and not any(
        path == each or path.startswith(f"{each}/") for each in LEFT_OUT
    )


class CaseItem(TrialItem):
    """Applies a case, and runs the tests that concern it until one fails. It never fails itself."""

    def __init__(self, *, case: Case, suite: Suite, whole: list[pytest.Item], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case, self.suite, self.whole = case, suite, whole

    def reportinfo(self) -> tuple[Path, None, str]:
        """The id of the case."""
        return self.config.rootpath, None, self.case.id

    def try_out(self, worker: Worker, nextitem: pytest.Item | None) -> None:
        """Record the first test that fails, or that there is none."""
        self.role = worker.manifest.role
        with worker.trial(self.apply):
            noticed, test = self.first_failing(worker, nextitem)
        if test and self.suite.fails_without_mutant(test, nextitem):
            raise RolecallError(f"{noticed} fails on the unchanged schema, too.")
        self.user_properties.append((NOTICED, shortened(noticed)))

    def apply(self, connection: Connection[Any]) -> None:
        """Run the SQL as the migration role. Raises RolecallError if the server refuses it."""
        try:
            with connection.transaction():
                if self.role:
                    connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(self.role)))
                connection.execute(self.case.sql.encode())
                connection.execute("RESET ROLE")
        except psycopg.Error as error:
            raise RolecallError(f"the case cannot be applied: {error.sqlstate} {error.diag.message_primary}") from None

    def first_failing(self, worker: Worker, nextitem: pytest.Item | None) -> tuple[str, pytest.Item | None]:
        """The id of the first cell or test that fails, and the test; empty and None without one."""
        try:
            for name in self.case.concerns:
                mutant = Mutant("league", Target.of("object", name), name, self.case.title, "", self.case.sql)
                relevant = self.suite.relevant_tests(mutant)
                if cell := self.failing_cell(worker, relevant.grids):
                    return cell, None
                tests = relevant.behaviour.in_turn(mutant)
                if test := self.suite.first_failing(tests, nextitem):
                    return test.nodeid, test
            if not self.case.concerns:
                return self.of_the_whole_suite(worker, nextitem)
        except RolecallError as error:  # an error on the broken schema: the run is red as well
            return str(error), None
        return "", None

    def of_the_whole_suite(self, worker: Worker, nextitem: pytest.Item | None) -> tuple[str, pytest.Item | None]:
        """As :meth:`first_failing`, for a case whose SQL names no object."""
        if cell := self.failing_cell(worker, self.suite.grids):
            return cell, None
        test = self.suite.first_failing(self.whole, nextitem)
        return (test.nodeid, test) if test else ("", None)

    def failing_cell(self, worker: Worker, grids: Iterable[Grid]) -> str | None:
        """The id of the first cell that fails."""
        for grid in grids:
            if cell := self.suite.first_failure(grid, worker.world).find(worker.connection, recent=False):
                return f"{grid.table} {cell.id}"
        return None
