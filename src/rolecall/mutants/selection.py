"""The tests that mutants are tried against: which of them concern an object, and which of those come first."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import pytest

from rolecall.defects.trial import first_to_notice
from rolecall.grids.grid import Grid
from rolecall.mutants.operators.operator import Mutant

Names = tuple[str, ...]
TURN = 0.02  # seconds of testing, by which turns are told apart; each is twice as long as the one before
LATE = 3  # turns
RUNS_SCRIPTS = re.compile(r"\b(apply|verify|rollback|phases)\b")


class Family:
    """The items of one test function: one for each of its parameters."""

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


class Concern:
    """The tests that concern one object.

    What has killed one mutant of an object often kills the next, so most mutants cost a few statements.
    """

    LATELY = 6

    def __init__(self, grids: list[Grid], tests: list[pytest.Item], families: dict[tuple[Path, str], Family]) -> None:
        self.grids, self.tests = grids, tests
        self._all = families
        self._lately: list[pytest.Item] = []

    def first(self, killer: pytest.Item) -> None:
        """Let a test be the first from now on, and others of its function before it where they name the mutant."""
        others = [test for test in self._lately if family_of(test) != family_of(killer)]
        self._lately = [killer, *others][: self.LATELY]

    def lately(self, mutant: Mutant) -> list[pytest.Item]:
        """Those that noticed something lately, or the test of the same function that names what is broken now."""
        names = names_of(mutant.object)
        killers = sorted(self._lately, key=lambda test: self._all[family_of(test)].seconds)
        return [test for killer in killers for test in self._of_family(killer, names)]

    def _of_family(self, killer: pytest.Item, names: Names) -> list[pytest.Item]:
        tests = self._all[family_of(killer)].about(names)
        return [test for test in tests[:2] if _has(test, names)] or [killer]

    def in_turn(self, mutant: Mutant) -> list[pytest.Item]:
        """All tests: one of each function before the second of any, and the slow ones when others had several turns.

        Functions that do not speak of what the mutant concerns come late. Tests of a module that have their turn
        together stay together, as they share its fixtures.
        """
        names = names_of(mutant.object)
        turns: dict[pytest.Item, int] = {}
        for family in self._families:
            speaks_of_it = mutant.concerns.rpartition(".")[2] in family.source
            for number, test in enumerate(family.about(names), start=1):
                late = 0 if speaks_of_it or _has(test, names) else LATE
                turns[test] = late + int(math.log2(number * max(family.seconds, TURN) / TURN))
        return sorted(self.tests, key=turns.__getitem__)

    @cached_property
    def _families(self) -> list[Family]:
        return [self._all[key] for key in dict.fromkeys(map(family_of, self.tests))]


class Suite:
    """The tests that mutants are tried against, and which of them concern an object."""

    def __init__(self, grids: list[Grid], tests: list[pytest.Item]) -> None:
        self.grids = grids
        self.modules: dict[Path, list[pytest.Item]] = {}
        for test in tests:
            self.modules.setdefault(test.path, []).append(test)
        self.sources = {path: path.read_text(encoding="utf-8") for path in self.modules}
        self._families = families(tests)
        self._concerns: dict[str, Concern] = {}
        self._sound: set[pytest.Item] = set()

    def concerning(self, mutant: Mutant) -> Concern:
        """The tests that concern what is broken: of a script, those that make databases of their own."""
        if not mutant.script:
            return self._naming(mutant.concerns)
        return self._concerns.setdefault(mutant.concerns, Concern([], self.migrates, self._families))

    def first_to_notice(self, tests: list[pytest.Item], nextitem: pytest.Item | None) -> pytest.Item | None:
        """As :func:`rolecall.defects.trial.first_to_notice`; how long each took decides when its like are run again."""

        def took(test: pytest.Item, seconds: float) -> None:
            self._families[family_of(test)].seconds = seconds

        return first_to_notice(tests, nextitem, took)

    def fails_anyway(self, test: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Whether a test fails where nothing is broken. It is run once: whatever it does is undone."""
        if test not in self._sound and not self.first_to_notice([test], nextitem):
            self._sound.add(test)
        return test not in self._sound

    @cached_property
    def migrates(self) -> list[pytest.Item]:
        """The tests that may run steps and scripts, in databases of their own."""
        return [test for tests in self.modules.values() for test in tests if _migrates(test)]

    def _is_of_scripts(self, test: pytest.Item) -> bool:
        """Whether a test is about scripts: what they make in a database of its own is theirs, whatever is broken
        elsewhere."""
        return _migrates(test) and bool(RUNS_SCRIPTS.search(self.sources[test.path]))

    def _naming(self, name: str) -> Concern:
        """The grids of a table, and the tests of every module whose text names it (or a view, or a function),
        but those of scripts."""
        if name not in self._concerns:
            bare = name.rpartition(".")[2]
            named = re.compile(rf"\b{re.escape(bare)}\b")
            paths = [path for path in self.modules if named.search(self.sources[path])]
            paths.sort(key=lambda path: (path.stem != f"test_{bare}", path))
            tests = [test for path in paths for test in self.modules[path] if not self._is_of_scripts(test)]
            grids = [grid for grid in self.grids if grid.table == name]
            self._concerns[name] = Concern(grids, tests, self._families)
        return self._concerns[name]


def family_of(test: pytest.Item) -> tuple[Path, str]:
    """What the tests of one function have in common."""
    return test.path, getattr(test, "originalname", test.name)


def families(tests: Iterable[pytest.Item]) -> dict[tuple[Path, str], Family]:
    """Tests by their functions."""
    made: dict[tuple[Path, str], Family] = {}
    for test in tests:
        made.setdefault(family_of(test), Family()).tests.append(test)
    return made


def names_of(text: str) -> Names:
    """What a test's id may call an object by: the policy, constraint or column; of a script its step and its phase."""
    if quoted := re.search(r'"(.+)"$', text):
        return (quoted[1],)
    if script := re.fullmatch(r"phase_(\d+)_\w+/[\d_]*(\w+)\.sql", text):
        return (script[2], f"phase {script[1]}")
    return (re.split(r"[ ./]", text.split("(")[0])[-1],)


def _has(test: pytest.Item, names: Names) -> bool:
    """Whether a test's parameters have one of these names."""
    parameters = test.name.partition("[")[2]
    return any(name in parameters for name in names)


def _migrates(test: pytest.Item) -> bool:
    return bool({"scratch", "module_scratch", "undone_scratch", "phases"} & set(getattr(test, "fixturenames", ())))
