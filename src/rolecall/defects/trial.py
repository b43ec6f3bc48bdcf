"""Trials: break something, run the tests that should fail, roll it back, and report whether one did.

A trial is a pytest item that runs other items in a transaction on the worker's own connection, in which something is
broken. It needs no process, database or server of its own.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import psycopg
import pytest
from _pytest.runner import collect_one_node, runtestprotocol

from rolecall.errors import RolecallError, SqlError
from rolecall.worker import Worker

# How a test fails on a broken schema. Any other exception is an error of the test.
FAILURES = (AssertionError, pytest.fail.Exception, psycopg.Error, SqlError)
EXCEPTION = pytest.StashKey[type[BaseException]]()
LOST = pytest.StashKey[bool]()  # whether the test lost a connection, which proves nothing
FOLDERS = pytest.StashKey[dict[Path, pytest.Directory]]()


class NotCaughtError(AssertionError):
    """No test failed on a broken schema."""


class TrialItem(pytest.Item):
    """Passes if a test fails on what it breaks."""

    @abstractmethod
    def try_out(self, worker: Worker, nextitem: pytest.Item | None) -> None:
        """Break something and run tests. Raises NotCaughtError if none of them fails."""

    def runtest(self) -> None:
        """Never called: :meth:`try_out` needs the next item."""
        raise TypeError(f"{self.nodeid} can only be run by rolecall's protocol")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        """The message, without a traceback that would only show rolecall."""
        if isinstance(excinfo.value, NotCaughtError | RolecallError):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo, style))

    def protocol(self, worker: Worker, nextitem: pytest.Item | None) -> None:
        """Run and report this item as pytest does: setup, call, teardown."""
        self.ihook.pytest_runtest_logstart(nodeid=self.nodeid, location=self.location)
        phases: tuple[Literal["setup", "call", "teardown"], ...] = ("setup", "call", "teardown")
        for when in phases:
            call = pytest.CallInfo.from_call(
                (lambda: self.try_out(worker, nextitem)) if when == "call" else lambda: None,
                when=when,
                reraise=(KeyboardInterrupt, pytest.exit.Exception),
            )
            report = self.ihook.pytest_runtest_makereport(item=self, call=call)
            self.ihook.pytest_runtest_logreport(report=report)
        # If no test ran, the fixtures that the item before shares with the next one are still set up.
        self.session._setupstate.teardown_exact(nextitem)
        self.ihook.pytest_runtest_logfinish(nodeid=self.nodeid, location=self.location)


def note_folder(folder: pytest.Directory) -> None:
    """Store a folder that pytest collects: only this node of the folder has the fixtures of its conftest.py."""
    folder.session.stash.setdefault(FOLDERS, {})[folder.path] = folder


def collect(parent: pytest.Item, path: Path) -> list[pytest.Item]:
    """The tests of a module, collected again.

    Their parents are the nodes of their folders, so that the fixtures of each conftest.py apply, and pytest sets the
    tests up and tears them down as its own.
    """
    session, root = parent.session, parent.config.rootpath
    node: pytest.Collector = session
    for folder in [root / part for part in reversed(path.relative_to(root).parents)]:
        nodes = session.stash.setdefault(FOLDERS, {})
        if folder not in nodes and folder != root:
            collect_one_node(pytest.Dir.from_parent(node, path=folder))
        node = nodes.get(folder, node)
    return list(_items_of(pytest.Module.from_parent(node, path=path)))


def _items_of(node: pytest.Item | pytest.Collector) -> Iterator[pytest.Item]:
    """The tests below a node, without pytest's hook: there, --lf would leave out the tests that passed last time.

    Raises RolecallError if a module cannot be collected.
    """
    if isinstance(node, pytest.Item):
        node.ihook.pytest_itemcollected(item=node)
        yield node
        return
    try:
        children = list(node.collect())
    except pytest.Collector.CollectError as error:
        raise RolecallError(f"{node.nodeid} cannot be collected: {error}") from None
    for child in children:
        yield from _items_of(child)


def first_failing(
    tests: Sequence[pytest.Item],
    nextitem: pytest.Item | None,
    record_duration: Callable[[pytest.Item, float], None] | None = None,
) -> pytest.Item | None:
    """Run tests, without a report, until one fails because the schema is broken. Returns it, or None.

    ``record_duration`` is called with each test and its seconds, fixtures included.
    Raises RolecallError if a test fails for another reason, which is an error and proves nothing.
    """
    if not tests:
        return None
    try:
        for test, following in zip(tests, [*tests[1:], nextitem], strict=True):
            reports = runtestprotocol(test, log=False, nextitem=following)
            if record_duration:
                record_duration(test, sum(report.duration for report in reports))
            for report in reports:
                if report.failed:
                    exception = test.stash.get(EXCEPTION, BaseException)
                    # A fixture that applies a broken script fails with the server's error.
                    by_script = report.when == "setup" and issubclass(exception, SqlError)
                    is_failure = by_script or (report.when == "call" and issubclass(exception, FAILURES))
                    if not is_failure or test.stash.get(LOST, False):
                        raise RolecallError(f"{test.nodeid} broke instead of failing:\n{report.longreprtext}")
                    return test
    finally:
        # The failing test left the fixtures that it shares with the next one set up.
        tests[0].session._setupstate.teardown_exact(nextitem)
    return None
