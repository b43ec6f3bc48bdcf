"""A pytest plugin that gives every mutant a database of its own, as one would without transactions; ``--anew HOW``.

``HOW`` is ``clone`` (copied from the template), ``build`` (baseline, migrations and world from their files), or ``no``,
which leaves rolecall as it is. What each mutant took goes into the file of ``--took``, in seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rolecall.database import build
from rolecall.worker import Change, Worker

TOOK: list[float] = []
Trial = Callable[..., Any]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the two options."""
    parser.addoption("--anew", choices=["no", "clone", "build"], default="no")
    parser.addoption("--took", type=Path)


def pytest_configure(config: pytest.Config) -> None:
    """Take the place of the transaction in which a mutant is tried."""
    how = config.getoption("--anew")
    if how != "no":
        Worker.trial = another(Worker.trial, how)  # type: ignore[method-assign]


def another(original: Trial, how: str) -> Trial:
    """A trial in a database made for it alone; of scripts, as ever."""

    @contextmanager
    def trial(self: Worker, change: Change | None = None, scripts: Any = None) -> Iterator[None]:
        if change is None:
            with original(self, change, scripts):
                yield
            return
        kept = self.connection
        with made(self, how) as name, self.run.connect(name) as connection:
            self.__dict__["connection"] = connection
            try:
                with original(self, change, scripts):
                    yield
            finally:
                self.__dict__["connection"] = kept

    return trial


@contextmanager
def made(worker: Worker, how: str) -> Iterator[str]:
    """A migrated database for the block; gives its name."""
    if how == "clone":
        with worker.run.clone(worker.run.template, "anew") as name:
            yield name
        return
    run = replace(worker.run, name=worker.run.name + "_anew")
    build.build(run, worker.settings)
    build.load(run, worker.world)
    try:
        yield run.template
    finally:
        for name in (run.template, run.baseline):
            with run.cursor() as cursor:
                cursor.execute(f"ALTER DATABASE {name} WITH is_template false".encode())
            run.drop(name)


def pytest_runtest_logreport(report: Any) -> None:
    """Note what a mutant took."""
    if report.when == "call" and dict(report.user_properties).get("rolecall mutant") != "invalid":
        TOOK.append(report.duration)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write it down."""
    session.config.getoption("--took").write_text(json.dumps(TOOK), encoding="utf-8")
