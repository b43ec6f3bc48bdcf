"""Which tests a run collects and keeps: those that the saved files concern, the fast ones first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from rolecall.catalog.dependents import dependents
from rolecall.collect import may_have_grid
from rolecall.item import CellItem, GridItem
from rolecall.mutants.selection import RUNS_SCRIPTS, Suite
from rolecall.process.process import Process
from rolecall.sql import migrations
from rolecall.watch.concern import Concern, Project, counted, listed
from rolecall.watch.inputs import Inputs, changed_objects


class Selection:
    """The tests of one run. ``arguments`` are for pytest, in place of the user's; None: all tests run.

    The first run has the cells of the changed tables, and the saved test files without what tries a whole grid. The
    others are slower, and left for a second run: ``has_rest``.
    """

    def __init__(self, concern: Concern, project: Project) -> None:
        self.concern, self.project = concern, project
        self.arguments: list[str] | None = None
        self.has_rest = False
        self._is_rest = concern.rest
        self._tests: set[Path] = set()  # of these, all tests run
        self._names: set[str] = set()  # the objects that the changed SQL is about
        self._dependents: dict[str, list[str]] = {}
        self._runs_scripts = False

    def choose(self, process: Process, since: Inputs | None, now: Inputs) -> str:
        """Choose the files to collect. Returns what runs, and why.

        ``since`` are the inputs of the last run that was complete.
        """
        if self.concern.everything:
            return self.concern.everything
        names = changed_objects(since, now) if since else None
        if names is None:
            shown = listed(map(self.project.shown, self.concern.scripts)) or "SQL"
            return f"{shown}: it is not known what changed: all tests"
        self._names = names
        self._tests = {path for path in self.concern.tests if path.is_file() and self.project.selecting(path)}
        lines = [f"{self.project.shown(path)}{self._fate(path)}" for path in self.concern.tests]
        lines += self._scripts(process, now)
        if names:
            self._dependents = dependents(process.get_worker().connection)
            lines.append(f"{listed(sorted(names))} changed: the tests that name {'it' if len(names) == 1 else 'them'}")
        files = [*sorted(self._tests), *self._files()]
        self.arguments = list(dict.fromkeys(each for path in files for each in self.project.selecting(path)))
        return f"the slower tests, in {counted(len(files), 'file')}" if self.concern.rest else "; ".join(lines)

    def _fate(self, path: Path) -> str:
        """Why a test file does not run; empty if it does."""
        if path in self._tests:
            return ""
        return " is not one of the tests to watch" if path.is_file() else " is gone"

    def _scripts(self, process: Process, now: Inputs) -> Iterator[str]:
        """A line on the saved SQL files that build nothing, and on those in which nothing has changed."""
        others = {script.path for phase in migrations.of(process.settings) for script in phase.scripts}
        for path in self.concern.scripts:
            if path not in now.texts and path in others:
                self._runs_scripts = True
                yield f"{self.project.shown(path)}: the tests that run migrations"
            elif not self._names:
                yield f"{self.project.shown(path)}: no statement changed"

    def _files(self) -> list[Path]:
        """The test files to collect for the changed objects and scripts. Their text decides whether they are needed.

        In the first run these are the files with grids, if there are any.
        """
        tables = {each for name in self._names for each in (name, *self._dependents.get(name, ()))}
        words = "|".join(re.escape(name.partition(".")[2]) for name in sorted(tables))
        patterns = [re.compile(rf"\b({words})\b")] if words else []
        patterns += [RUNS_SCRIPTS] if self._runs_scripts else []
        found = [path for path in self.project.test_files() if _names_any(patterns, path)] if patterns else []
        with_grid = [path for path in found if may_have_grid(path)] if words else []
        if not (with_grid or self._tests):
            self._is_rest = True
        if self._is_rest:
            return found
        self.has_rest = found != with_grid
        return with_grid

    def select(self, items: list[pytest.Item]) -> None:
        """Leave only the tests of this run, those of the changed objects first."""
        if self.arguments is None:
            return
        suite = Suite(items, self._dependents)
        concerned = [test for name in sorted(self._names) for test in suite.tests_of(name)]
        concerned += suite.migration_tests if self._runs_scripts else []
        selected = dict.fromkeys([*concerned, *(item for item in items if item.path in self._tests)])
        if self._is_rest and not self.concern.rest:  # the only run
            items[:] = selected
            return
        items[:] = [item for item in selected if self._is_first(item) is not self._is_rest]
        self.has_rest = not self._is_rest and (self.has_rest or len(items) < len(selected))

    def _is_first(self, item: pytest.Item) -> bool:
        """Whether a test belongs to the first run."""
        return isinstance(item, CellItem) or (item.path in self._tests and not isinstance(item, GridItem))


def _names_any(patterns: list[re.Pattern[str]], path: Path) -> bool:
    text = path.read_text(encoding="utf-8", errors="replace")
    return any(pattern.search(text) or pattern.search(path.stem.removeprefix("test_")) for pattern in patterns)
