"""The tests that mutants are tried against, and which of them concern an object."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from rolecall.access.world import World
from rolecall.defects.trial import first_failing
from rolecall.fixtures import runs_migrations
from rolecall.grids.grid import Cell, Grid
from rolecall.item import CellItem, EarlierGridItem
from rolecall.mutants.operators.operator import Mutant
from rolecall.mutants.ordering import Functions, OrderedTests, function_of, functions
from rolecall.mutants.search import FirstFailure

RUNS_SCRIPTS = re.compile(r"\b(apply|verify|rollback|phases)\b")
PIN = "rolecall_pin"  # the mark of a test that compares a definition with a copy of it


@dataclass(frozen=True)
class RelevantTests:
    """What concerns one object.

    ``grids`` are tried cell by cell. ``pins`` are the tests with the mark ``rolecall_pin``, and ``behaviour`` are the
    other tests, also those that try a whole grid in another way, each as one item.
    """

    grids: list[Grid]
    behaviour: OrderedTests
    pins: OrderedTests

    @property
    def tests(self) -> list[pytest.Item]:
        """All of them but the cells."""
        return [*self.behaviour.tests, *self.pins.tests]

    def put_first(self, killer: pytest.Item, mutant: Mutant) -> None:
        """Try a killer first from now on."""
        for tests in (self.behaviour, self.pins):
            if killer in tests.tests:
                tests.put_first(killer, mutant)


class Suite:
    """The tests that mutants are tried against.

    ``dependents`` has, for an object, the tables and views whose policies, triggers or queries use it.
    """

    def __init__(self, items: list[pytest.Item], dependents: Mapping[str, Collection[str]] | None = None) -> None:
        self.cells = [item for item in items if isinstance(item, CellItem)]
        self._cells_by_id = {item.nodeid: item for item in self.cells}
        self._grid_ids = {item.grid: item.nodeid.removesuffix(f"[{item.cell.id}]") for item in self.cells}
        self.grids = list(self._grid_ids)
        self.grid_items = [item for item in items if grid_of(item)]
        self.modules: dict[Path, list[pytest.Item]] = {}
        tests = [item for item in items if isinstance(item, pytest.Function) and not runs_earlier(item)]
        for test in tests:
            self.modules.setdefault(test.path, []).append(test)
        self.sources = {path: path.read_text(encoding="utf-8") for path in self.modules}
        self._dependents = dependents or {}
        self._functions: Functions = functions([*tests, *self.grid_items])
        self._relevant: dict[str, RelevantTests] = {}
        self._passing: set[pytest.Item] = set()
        self._searches: dict[Grid, FirstFailure] = {}

    def relevant_tests(self, mutant: Mutant) -> RelevantTests:
        """The tests that concern a mutant. For a mutant of a script, the tests that run migrations."""
        if mutant.concerns not in self._relevant:
            self._relevant[mutant.concerns] = (
                self._relevant_to(mutant.concerns, [], self.migration_tests)
                if mutant.script
                else self._relevant_to(mutant.concerns, self.tables_of(mutant.concerns), self._naming(mutant.concerns))
            )
        return self._relevant[mutant.concerns]

    def tests_of(self, name: str) -> list[pytest.Item]:
        """The tests that concern an object by its name, cells first."""
        relevant = self._relevant_to(name, self.tables_of(name), self._naming(name))
        cells = [item for item in self.cells if item.grid in relevant.grids]
        return [*cells, *relevant.tests]

    def nodeid(self, grid: Grid, cell: Cell) -> str:
        """The id of the test of a cell."""
        return f"{self._grid_ids[grid]}[{cell.id}]"

    def cell_of(self, nodeid: str) -> CellItem | None:
        """The cell with this id."""
        return self._cells_by_id.get(nodeid)

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

    def _relevant_to(self, name: str, tables: Collection[str], tests: list[pytest.Item]) -> RelevantTests:
        bare = name.split(".", 1)[-1]
        groups: dict[bool, list[pytest.Item]] = {False: [], True: []}
        for test in tests:
            groups[is_pin(test)].append(test)
        grid_items = [item for item in self.grid_items if (grid := grid_of(item)) and grid.table in tables]
        return RelevantTests(
            [grid for grid in self.grids if grid.table in tables],
            OrderedTests(bare, [*grid_items, *groups[False]], self._functions),
            OrderedTests(bare, groups[True], self._functions),
        )

    def tables_of(self, name: str) -> list[str]:
        """An object, and the tables and views that use it: a mutant of it may change the access to their rows."""
        return [name, *self._dependents.get(name, ())]

    def _naming(self, name: str) -> list[pytest.Item]:
        """The tests that name an object, but for tests of scripts: in the text of their module, or in their id."""
        bare = name.split(".", 1)[-1]
        pattern = re.compile(rf"\b{re.escape(bare)}\b")
        paths = [path for path in self.modules if pattern.search(self.sources[path])]
        paths.sort(key=lambda path: (path.stem != f"test_{bare}", path))
        others = [path for path in self.modules if path not in paths]
        tests = [test for path in paths for test in self.modules[path]]
        # A parameter may come from another module.
        tests += [test for path in others for test in self.modules[path] if pattern.search(test.name)]
        return [test for test in tests if not self._is_about_scripts(test)]

    def _is_about_scripts(self, test: pytest.Item) -> bool:
        """Whether a test is about scripts: it sees what the scripts create, not the broken schema."""
        return runs_migrations(test) and bool(RUNS_SCRIPTS.search(self.sources[test.path]))


def grid_of(item: pytest.Item) -> Grid | None:
    """The grid that an item tries as a whole, on the database with all phases; None for every other item."""
    if isinstance(item, pytest.Function | CellItem | EarlierGridItem):
        return None
    grid = getattr(item, "grid", None)
    return grid if isinstance(grid, Grid) else None


def runs_earlier(test: pytest.Function) -> bool:
    """Whether a test runs on the database after an earlier phase, which no mutant reaches."""
    callspec = getattr(test, "callspec", None)
    return callspec is not None and callspec.params.get("rolecall_phase") is not None


def is_pin(test: pytest.Item) -> bool:
    """Whether a test compares a definition with a copy of it, so that it fails for every change."""
    return test.get_closest_marker(PIN) is not None
