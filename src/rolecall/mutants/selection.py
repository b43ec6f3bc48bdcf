"""The tests that mutants are tried against: which of them concern an object, and which of those come first."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import pytest

from rolecall.access.world import World
from rolecall.defects.trial import first_to_notice
from rolecall.fixtures import runs_migrations
from rolecall.grids.grid import Grid
from rolecall.mutants.operators.operator import Mutant
from rolecall.mutants.search import FirstFailure

Names = tuple[str, ...]
TURN = 0.02  # seconds of testing, by which turns are told apart; each is twice as long as the one before
LATE = 3  # turns
RUNS_SCRIPTS = re.compile(r"\b(apply|verify|rollback|phases)\b")


class TestFunction:
    """The items of one test function: one for each of its parameters."""

    __test__ = False  # for pytest, which collects classes of such a name

    def __init__(self) -> None:
        self.tests: list[pytest.Item] = []
        self.seconds = 0.0  # what the last one of them took

    @cached_property
    def source(self) -> str:
        """The function's text."""
        return inspect.getsource(self.tests[0].function)  # type: ignore[attr-defined]  # they are functions

    def about(self, names: Names) -> list[pytest.Item]:
        """Its tests, those first whose ids have one of these names."""
        return sorted(self.tests, key=lambda test: not _has(test, names))


class RelevantTests:
    """The tests that concern one object.

    What has killed one mutant of an object often kills the next, so most mutants cost a few statements.
    """

    RECENT = 6

    def __init__(
        self, grids: list[Grid], tests: list[pytest.Item], functions: dict[tuple[Path, str], TestFunction]
    ) -> None:
        self.grids, self.tests = grids, tests
        self._all = functions
        self._recent_killers: list[pytest.Item] = []

    def put_first(self, killer: pytest.Item) -> None:
        """Put a test first from now on; others of its function come before it if their ids name the target."""
        others = [test for test in self._recent_killers if function_of(test) != function_of(killer)]
        self._recent_killers = [killer, *others][: self.RECENT]

    def recent_killers(self, mutant: Mutant) -> list[pytest.Item]:
        """The tests that killed recently, or those of the same function whose ids name the target."""
        names = mutant.target.test_names
        killers = sorted(self._recent_killers, key=lambda test: self._all[function_of(test)].seconds)
        return [test for killer in killers for test in self._of_function(killer, names)]

    def _of_function(self, killer: pytest.Item, names: Names) -> list[pytest.Item]:
        tests = self._all[function_of(killer)].about(names)
        return [test for test in tests[:2] if _has(test, names)] or [killer]

    def in_turn(self, mutant: Mutant) -> list[pytest.Item]:
        """All tests: one of each function before the second of any; slow ones after several turns of the others.

        Functions that do not mention what the mutant concerns come late. Tests of one module in the same turn stay
        together, since they share its fixtures.
        """
        names = mutant.target.test_names
        turns: dict[pytest.Item, int] = {}
        for function in self._functions:
            mentions_it = mutant.concerns.rpartition(".")[2] in function.source
            for number, test in enumerate(function.about(names), start=1):
                late = 0 if mentions_it or _has(test, names) else LATE
                turns[test] = late + int(math.log2(number * max(function.seconds, TURN) / TURN))
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
        self._sound: set[pytest.Item] = set()
        self._searches: dict[Grid, FirstFailure] = {}

    def relevant_tests(self, mutant: Mutant) -> RelevantTests:
        """The tests that concern a mutant; for one of a script, the tests that create databases of their own."""
        if not mutant.script:
            return self._naming(mutant.concerns)
        return self._relevant.setdefault(mutant.concerns, RelevantTests([], self.migration_tests, self._functions))

    def first_to_notice(self, tests: list[pytest.Item], nextitem: pytest.Item | None) -> pytest.Item | None:
        """As :func:`rolecall.defects.trial.first_to_notice`; how long each took decides when its like are run again."""

        def took(test: pytest.Item, seconds: float) -> None:
            self._functions[function_of(test)].seconds = seconds

        return first_to_notice(tests, nextitem, took)

    def first_failure(self, grid: Grid, world: World) -> FirstFailure:
        """The search for a failing cell of a grid, which remembers what failed recently."""
        if grid not in self._searches:
            self._searches[grid] = FirstFailure(grid, world)
        return self._searches[grid]

    def fails_without_mutant(self, test: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Whether a test fails without any mutant; it is run once."""
        if test not in self._sound and not self.first_to_notice([test], nextitem):
            self._sound.add(test)
        return test not in self._sound

    @cached_property
    def migration_tests(self) -> list[pytest.Item]:
        """The tests that may run steps and scripts, in databases of their own."""
        return [test for tests in self.modules.values() for test in tests if runs_migrations(test)]

    def _is_of_scripts(self, test: pytest.Item) -> bool:
        """Whether a test is about scripts: it sees what they create, not the broken schema."""
        return runs_migrations(test) and bool(RUNS_SCRIPTS.search(self.sources[test.path]))

    def _naming(self, name: str) -> RelevantTests:
        """The grids of a table, and the tests of every module whose text names it, a view or a function; without
        the tests of scripts."""
        if name not in self._relevant:
            bare = name.rpartition(".")[2]
            named = re.compile(rf"\b{re.escape(bare)}\b")
            paths = [path for path in self.modules if named.search(self.sources[path])]
            paths.sort(key=lambda path: (path.stem != f"test_{bare}", path))
            tests = [test for path in paths for test in self.modules[path] if not self._is_of_scripts(test)]
            grids = [grid for grid in self.grids if grid.table == name]
            self._relevant[name] = RelevantTests(grids, tests, self._functions)
        return self._relevant[name]


def function_of(test: pytest.Item) -> tuple[Path, str]:
    """What the tests of one function have in common."""
    return test.path, getattr(test, "originalname", test.name)


def functions(tests: Iterable[pytest.Item]) -> dict[tuple[Path, str], TestFunction]:
    """Tests by their functions."""
    found: dict[tuple[Path, str], TestFunction] = {}
    for test in tests:
        found.setdefault(function_of(test), TestFunction()).tests.append(test)
    return found


def _has(test: pytest.Item, names: Names) -> bool:
    """Whether a test's parameters have one of these names."""
    parameters = test.name.partition("[")[2]
    return any(name in parameters for name in names)
