"""The order in which tests are tried against a mutant: those that most likely notice it come first."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import pytest

from rolecall.mutants.operators.operator import Mutant

Names = tuple[str, ...]
TURN = 0.02  # seconds of the first turn; each turn takes twice as long as the one before
QUICK = 0.1  # seconds of a test that is tried before all cells of a grid, if it killed a mutant before
GRID = 0.25  # seconds that a test of a whole grid takes, for its turn: it takes more, but it likely notices the mutant
OF_OTHERS = 2  # turns of delay for tests of another object's module
DELAY = 3  # turns of delay for functions that do not mention the object


class TestFunction:
    """The items of one test function: one for each set of parameters."""

    __test__ = False  # or pytest would collect this class because of its name

    def __init__(self) -> None:
        self.tests: list[pytest.Item] = []
        self.seconds = 0.0  # the duration of the last run; before the first a guess

    @cached_property
    def source(self) -> str:
        """The source of the function; empty for an item that is no function."""
        function = getattr(self.tests[0], "function", None)
        return inspect.getsource(function) if function else ""

    def ordered_for(self, *names: Names) -> list[pytest.Item]:
        """Its tests. Those whose ids contain one of the first names come first, then those with one of the next."""
        return sorted(self.tests, key=lambda test: [not _has(test, each) for each in names])


Functions = dict[tuple[Path, str], TestFunction]


class OrderedTests:
    """Tests that concern one object.

    A test that killed one mutant of an object often kills the next, so most mutants need only a few statements.
    """

    RECENT = 6
    SAME = 12  # tests of one function

    def __init__(self, bare_name: str, tests: list[pytest.Item], functions: Functions) -> None:
        """``bare_name`` is the object's, without its schema: its own tests are in the module test_<name>.py."""
        self.tests = tests
        self._module, self._all = f"test_{bare_name}", functions
        self._recent_killers: list[pytest.Item] = []
        self._killers: dict[tuple[str, str], pytest.Item] = {}  # by the change that they noticed last

    def put_first(self, killer: pytest.Item, mutant: Mutant) -> None:
        """Put a killer first from now on, in place of other killers of the same function."""
        others = [test for test in self._recent_killers if function_of(test) != function_of(killer)]
        self._recent_killers = [killer, *others][: self.RECENT]
        self._killers |= {_change(mutant): killer, (mutant.operator, ""): killer}

    def killers_of_same_change(self, mutant: Mutant, *, only_quick: bool = False) -> list[pytest.Item]:
        """What killed the last mutant with the same change, or else of the same operator; with the object's other tests
        of the same function.

        The last mutant may have been one of another policy, column or foreign key.
        """
        killers = (self._killers.get(_change(mutant)), self._killers.get((mutant.operator, "")))
        tests = []
        for killer in filter(None, killers):
            if only_quick and not self._is_quick(killer):
                continue
            of_function = self._all[function_of(killer)].ordered_for(mutant.target.test_names)
            tests += [killer, *[test for test in of_function if _has(test, _object(mutant))][: self.SAME]]
        return list(dict.fromkeys(tests))

    def recent_killers(self, mutant: Mutant, *, only_quick: bool = False) -> list[pytest.Item]:
        """The recent killers, or tests of the same functions whose ids name the target. The object's own come first."""
        names = mutant.target.test_names
        killers = sorted(
            self._recent_killers, key=lambda test: (not self._is_own(test), self._all[function_of(test)].seconds)
        )
        return [
            test
            for killer in killers
            if not only_quick or self._is_quick(killer)
            for test in self._of_function(killer, names)
        ]

    def _is_quick(self, test: pytest.Item) -> bool:
        return self._all[function_of(test)].seconds <= QUICK

    def _of_function(self, killer: pytest.Item, names: Names) -> list[pytest.Item]:
        tests = self._all[function_of(killer)].ordered_for(names)
        return [test for test in tests[:2] if _has(test, names)] or [killer]

    def in_turn(self, mutant: Mutant) -> list[pytest.Item]:
        """All tests in turns: the first test of each function comes before the second of any. Slow tests come later.

        Tests of other objects' modules are delayed, and tests that do not mention the mutant's object: they may fail by
        accident. Tests of one module in the same turn stay together, since they share fixtures.
        """
        names, bare = mutant.target.test_names, _object(mutant)
        turns: dict[pytest.Item, int] = {}
        for function in self._functions:
            mentions_object = bare[0] in function.source
            for number, test in enumerate(function.ordered_for(names, bare), start=1):
                delay = 0 if mentions_object or _has(test, names + bare) else DELAY
                delay += 0 if self._is_own(test) else OF_OTHERS
                seconds = max(function.seconds, TURN) if isinstance(test, pytest.Function) else GRID
                turns[test] = delay + int(math.log2(number * seconds / TURN))
        return sorted(self.tests, key=turns.__getitem__)

    @cached_property
    def _functions(self) -> list[TestFunction]:
        return [self._all[key] for key in dict.fromkeys(map(function_of, self.tests))]

    def _is_own(self, test: pytest.Item) -> bool:
        return test.path.stem == self._module


def function_of(test: pytest.Item) -> tuple[Path, str]:
    """The key of a test's function: its file and name."""
    return test.path, getattr(test, "originalname", test.name)


def functions(tests: Iterable[pytest.Item]) -> Functions:
    """The test functions by :func:`function_of`."""
    result: Functions = {}
    for test in tests:
        function = result.setdefault(function_of(test), TestFunction())
        function.tests.append(test)
        function.seconds = 0.0 if isinstance(test, pytest.Function) else GRID
    return result


def _change(mutant: Mutant) -> tuple[str, str]:
    """What a mutant changes, without the clause: USING and WITH CHECK often have the same condition."""
    return mutant.operator, mutant.what.removeprefix("USING").removeprefix("WITH CHECK")


def _object(mutant: Mutant) -> Names:
    """The name of the table, view or function that a mutant concerns, without its schema."""
    return (mutant.concerns.split(".", 1)[-1],)


def _has(test: pytest.Item, names: Names) -> bool:
    """Whether the parameters in a test's id contain one of these names."""
    parameters = test.name.partition("[")[2]
    return any(name in parameters for name in names)
