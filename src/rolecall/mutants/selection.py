"""The tests that mutants are tried against: those that concern an object, and their order."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import pytest

from rolecall.access.world import World
from rolecall.defects.trial import first_failing
from rolecall.fixtures import runs_migrations
from rolecall.grids.grid import Grid
from rolecall.item import DecidedByItem
from rolecall.mutants.operators.operator import Mutant
from rolecall.mutants.search import FirstFailure

Names = tuple[str, ...]
TURN = 0.02  # seconds of the first turn; each turn takes twice as long as the one before
DELAY = 3  # turns
RUNS_SCRIPTS = re.compile(r"\b(apply|verify|rollback|phases)\b")


class TestFunction:
    """The items of one test function: one for each set of parameters."""

    __test__ = False  # or pytest would collect this class because of its name

    def __init__(self) -> None:
        self.tests: list[pytest.Item] = []
        self.seconds = 0.0  # the duration of the last run

    @cached_property
    def source(self) -> str:
        """The source of the function. A test of decided_by has none: it is about the table of its grid."""
        test = self.tests[0]
        if isinstance(test, DecidedByItem):
            return test.grid.table
        return inspect.getsource(test.function)  # type: ignore[attr-defined]  # all others are functions

    def ordered_for(self, names: Names) -> list[pytest.Item]:
        """Its tests. Those whose ids contain one of these names come first."""
        return sorted(self.tests, key=lambda test: not _has(test, names))


class RelevantTests:
    """The tests that concern one object.

    A test that killed one mutant of an object often kills the next, so most mutants need only a few statements.
    """

    RECENT = 6

    def __init__(
        self, grids: list[Grid], tests: list[pytest.Item], functions: dict[tuple[Path, str], TestFunction]
    ) -> None:
        self.grids, self.tests = grids, tests
        self._all = functions
        self._recent_killers: list[pytest.Item] = []

    def put_first(self, killer: pytest.Item) -> None:
        """Put a killer first from now on, in place of other killers of the same function."""
        others = [test for test in self._recent_killers if function_of(test) != function_of(killer)]
        self._recent_killers = [killer, *others][: self.RECENT]

    def recent_killers(self, mutant: Mutant) -> list[pytest.Item]:
        """The recent killers, or tests of the same functions whose ids name the target."""
        names = mutant.target.test_names
        killers = sorted(self._recent_killers, key=lambda test: self._all[function_of(test)].seconds)
        return [test for killer in killers for test in self._of_function(killer, names)]

    def _of_function(self, killer: pytest.Item, names: Names) -> list[pytest.Item]:
        tests = self._all[function_of(killer)].ordered_for(names)
        return [test for test in tests[:2] if _has(test, names)] or [killer]

    def in_turn(self, mutant: Mutant) -> list[pytest.Item]:
        """All tests in turns: the first test of each function comes before the second of any. Slow tests come later.

        Functions that do not mention the mutant's object are delayed. Tests of one module in the same turn stay
        together, since they share fixtures.
        """
        names = mutant.target.test_names
        turns: dict[pytest.Item, int] = {}
        for function in self._functions:
            mentions_object = mutant.concerns.rpartition(".")[2] in function.source
            for number, test in enumerate(function.ordered_for(names), start=1):
                delay = 0 if mentions_object or _has(test, names) else DELAY
                turns[test] = delay + int(math.log2(number * max(function.seconds, TURN) / TURN))
        return sorted(self.tests, key=turns.__getitem__)

    @cached_property
    def _functions(self) -> list[TestFunction]:
        return [self._all[key] for key in dict.fromkeys(map(function_of, self.tests))]


class Suite:
    """The tests that mutants are tried against, and which of them concern an object."""

    def __init__(self, grids: list[Grid], tests: list[pytest.Item]) -> None:
        self.grids = grids
        self.modules: dict[Path, list[pytest.Item]] = {}
        for test in tests:
            self.modules.setdefault(test.path, []).append(test)
        self.sources = {path: path.read_text(encoding="utf-8") for path in self.modules}
        self._functions = functions(tests)
        self._relevant: dict[str, RelevantTests] = {}
        self._passing: set[pytest.Item] = set()
        self._searches: dict[Grid, FirstFailure] = {}

    def relevant_tests(self, mutant: Mutant) -> RelevantTests:
        """The tests that concern a mutant. For a mutant of a script, the tests that run migrations."""
        if not mutant.script:
            return self._tests_naming(mutant.concerns)
        return self._relevant.setdefault(mutant.concerns, RelevantTests([], self.migration_tests, self._functions))

    def first_failing(self, tests: list[pytest.Item], nextitem: pytest.Item | None) -> pytest.Item | None:
        """As :func:`rolecall.defects.trial.first_failing`. The durations decide the order of later runs."""

        def record_duration(test: pytest.Item, seconds: float) -> None:
            self._functions[function_of(test)].seconds = seconds

        return first_failing(tests, nextitem, record_duration)

    def first_failure(self, grid: Grid, world: World) -> FirstFailure:
        """The search for a failing cell of a grid. It is reused, since it stores the recently failed checks."""
        if grid not in self._searches:
            self._searches[grid] = FirstFailure(grid, world)
        return self._searches[grid]

    def fails_without_mutant(self, test: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Whether a test fails without any mutant. Each test runs once for this."""
        if test not in self._passing and not self.first_failing([test], nextitem):
            self._passing.add(test)
        return test not in self._passing

    @cached_property
    def migration_tests(self) -> list[pytest.Item]:
        """The tests that may run migration scripts, in their own databases."""
        return [test for tests in self.modules.values() for test in tests if runs_migrations(test)]

    def _is_about_scripts(self, test: pytest.Item) -> bool:
        """Whether a test is about scripts: it sees what the scripts create, not the broken schema."""
        return runs_migrations(test) and bool(RUNS_SCRIPTS.search(self.sources[test.path]))

    def _tests_naming(self, name: str) -> RelevantTests:
        """The grids of an object, and the tests of every module whose text has its name, except tests of scripts."""
        if name not in self._relevant:
            bare = name.rpartition(".")[2]
            pattern = re.compile(rf"\b{re.escape(bare)}\b")
            paths = [path for path in self.modules if pattern.search(self.sources[path])]
            paths.sort(key=lambda path: (path.stem != f"test_{bare}", path))
            tests = [test for path in paths for test in self.modules[path] if not self._is_about_scripts(test)]
            grids = [grid for grid in self.grids if grid.table == name]
            self._relevant[name] = RelevantTests(grids, tests, self._functions)
        return self._relevant[name]


def function_of(test: pytest.Item) -> tuple[Path, str]:
    """The key of a test's function: its file and name."""
    return test.path, getattr(test, "originalname", test.name)


def functions(tests: Iterable[pytest.Item]) -> dict[tuple[Path, str], TestFunction]:
    """The test functions by :func:`function_of`."""
    result: dict[tuple[Path, str], TestFunction] = {}
    for test in tests:
        result.setdefault(function_of(test), TestFunction()).tests.append(test)
    return result


def _has(test: pytest.Item, names: Names) -> bool:
    """Whether the parameters in a test's id contain one of these names."""
    parameters = test.name.partition("[")[2]
    return any(name in parameters for name in names)
