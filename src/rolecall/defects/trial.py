"""Trials: break something, run the tests that ought to notice, undo it, and say whether they did.

A trial is a pytest item that runs other items inside a transaction on the worker's own connection, in
which something was broken: no process, database or server is started for it.
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

# What a test says when the schema is not as it should be: anything else is an error of the test.
NOTICED = (AssertionError, pytest.fail.Exception, psycopg.Error, SqlError)
RAISED = pytest.StashKey[type[BaseException]]()
LOST = pytest.StashKey[bool]()  # whether it was that a connection was lost: a server that has gone proves nothing
FOLDERS = pytest.StashKey[dict[Path, pytest.Directory]]()


class NotNoticedError(AssertionError):
    """Something was broken, and no test noticed."""


class TrialItem(pytest.Item):
    """Passes if what it breaks is noticed."""

    @abstractmethod
    def try_out(self, worker: Worker, nextitem: pytest.Item | None) -> None:
        """Break something and run tests. Raises NotNoticedError if none of them minds."""

    def runtest(self) -> None:
        """Never called: :meth:`try_out` has to know the item that comes next."""
        raise TypeError(f"{self.nodeid} can only be run by rolecall's protocol")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        """What was not noticed, without a traceback that would only show rolecall."""
        if isinstance(excinfo.value, NotNoticedError | RolecallError):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo, style))

    def protocol(self, worker: Worker, nextitem: pytest.Item | None) -> None:
        """Run and report this item as pytest would: set up, call, tear down."""
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
        # Where no test was run, nobody took down what the item before left standing for this one.
        self.session._setupstate.teardown_exact(nextitem)
        self.ihook.pytest_runtest_logfinish(nodeid=self.nodeid, location=self.location)


def note_folder(folder: pytest.Directory) -> None:
    """Remember a folder that pytest collects: to it, and to no other node of its path, belongs its conftest.py."""
    folder.session.stash.setdefault(FOLDERS, {})[folder.path] = folder


def collect(parent: pytest.Item, path: Path) -> list[pytest.Item]:
    """The tests of a module, collected afresh.

    They hang below the folders that they lie in, whose conftest.py serves them, so that pytest, which knows what
    is set up, sets them up and tears them down as its own.
    """
    session, root = parent.session, parent.config.rootpath
    above: pytest.Collector = session
    for folder in [root / part for part in reversed(path.relative_to(root).parents)]:
        known = session.stash.setdefault(FOLDERS, {})
        if folder not in known and folder != root:
            collect_one_node(pytest.Dir.from_parent(above, path=folder))
        above = known.get(folder, above)
    return list(_items_of(pytest.Module.from_parent(above, path=path)))


def _items_of(node: pytest.Item | pytest.Collector) -> Iterator[pytest.Item]:
    """The tests below a node. Not by way of pytest's hook, in which --lf leaves out those that did not fail lately.

    Raises RolecallError where a module cannot be collected.
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


def first_to_notice(
    tests: Sequence[pytest.Item],
    nextitem: pytest.Item | None,
    took: Callable[[pytest.Item, float], None] | None = None,
) -> pytest.Item | None:
    """Run tests, unreported, until one fails because the schema is not as it should be.

    ``took``, if given, is told how many seconds each of them took, fixtures included.
    Raises RolecallError where one fails for another reason: that is an error, and no proof.
    """
    if not tests:
        return None
    try:
        for test, following in zip(tests, [*tests[1:], nextitem], strict=True):
            reports = runtestprotocol(test, log=False, nextitem=following)
            if took:
                took(test, sum(report.duration for report in reports))
            for report in reports:
                if report.failed:
                    raised = test.stash.get(RAISED, BaseException)
                    # A fixture that applies a broken script is told so by the server, and by nothing else.
                    by_script = report.when == "setup" and issubclass(raised, SqlError)
                    noticed = by_script or (report.when == "call" and issubclass(raised, NOTICED))
                    if not noticed or test.stash.get(LOST, False):
                        raise RolecallError(f"{test.nodeid} broke instead of failing:\n{report.longreprtext}")
                    return test
    finally:
        # The one that failed left standing what the next of these would have used.
        tests[0].session._setupstate.teardown_exact(nextitem)
    return None
