"""A pytest plugin that tries each mutant in a database of its own, instead of a transaction: ``--fresh-database HOW``.

``HOW`` is ``clone`` (a copy of the template), ``build`` (from baseline, migrations and world), or ``no``: rolecall's
own way. ``--durations-file`` names the file for the seconds of each mutant by its id, as JSON. ``--without-operators``
leaves out the mutants of operators, and ``--every N`` takes each Nth of the others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rolecall.database import build, load
from rolecall.mutants.runner import OUTCOME, MutantItem
from rolecall.worker import Change, Worker

DURATIONS: dict[str, float] = {}
Trial = Callable[..., Any]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    parser.addoption("--fresh-database", choices=["no", "clone", "build"], default="no")
    parser.addoption("--durations-file", type=Path)
    parser.addoption("--without-operators", default="")
    parser.addoption("--every", type=int, default=1)


def pytest_configure(config: pytest.Config) -> None:
    """Replace the transaction in which a mutant is tried."""
    how = config.getoption("--fresh-database")
    if how != "no":
        Worker.trial = in_fresh_database(Worker.trial, how)  # type: ignore[method-assign]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Select mutants, after rolecall has put them in the place of the tests."""
    yield
    without = config.getoption("--without-operators").split(",")
    others = [item for item in items if isinstance(item, MutantItem) and item.operator.name not in without]
    items[:] = others[:: config.getoption("--every")]


def in_fresh_database(original: Trial, how: str) -> Trial:
    """A trial of a change in a database of its own. Trials of scripts are unchanged."""

    @contextmanager
    def trial(self: Worker, change: Change | None = None, scripts: Any = None) -> Iterator[None]:
        if change is None:
            with original(self, change, scripts):
                yield
            return
        original_connection = self.connection
        self._trials = (
            0  # the original would create its own database again after some trials, and close this connection
        )
        with new_database(self, how) as name, self.run.connect(name) as connection:
            self.__dict__["connection"] = connection
            try:
                with original(self, change, scripts):
                    yield
            finally:
                self.__dict__["connection"] = original_connection

    return trial


@contextmanager
def new_database(worker: Worker, how: str) -> Iterator[str]:
    """A migrated database for the block; yields its name."""
    if how == "clone":
        with worker.run.clone(worker.run.template, "fresh") as name:
            yield name
        return
    run = replace(worker.run, name=worker.run.name + "_fresh")
    build.build(run, worker.settings)
    load.load(run, worker.world)
    try:
        yield run.template
    finally:
        for name in (run.template, run.baseline):
            with run.cursor() as cursor:
                cursor.execute(f"ALTER DATABASE {name} WITH is_template false".encode())
            run.drop(name)


def pytest_runtest_logreport(report: Any) -> None:
    """Note the duration of a mutant."""
    if report.when == "call" and dict(report.user_properties).get(OUTCOME) != "invalid":
        DURATIONS[report.nodeid] = report.duration


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the durations to the file."""
    session.config.getoption("--durations-file").write_text(json.dumps(DURATIONS), encoding="utf-8")
