"""How one process of a run ends: by a signal, because its server is gone, or as it should; and always cleaned up."""

from __future__ import annotations

import atexit
import gc
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import suppress
from typing import Any, Protocol

import psycopg
import pytest

from rolecall.database.rolled_back import TransactionEndedError
from rolecall.database.run import Run
from rolecall.defects import trial
from rolecall.process import outage
from rolecall.process.outage import Outage
from rolecall.server import signals
from rolecall.worker import Worker

LOST = "The server has ended a connection of this test, and serves others. The tests after it have a new one."


class Process(Protocol):
    """What an ending has to know of the process that ends."""

    run: Run | None
    worker: Worker | None

    def close(self) -> None:
        """Close connections, drop databases, stop the server."""


class Ending:
    """pytest's hooks that have to do with the end of a run; ``outage`` says why it cannot go on, if it cannot."""

    def __init__(self, config: pytest.Config, process: Process) -> None:
        self.config, self.process = config, process
        self.outage: Outage | None = None
        self._is_worker = hasattr(config, "workerinput")
        self._session: pytest.Session | None = None
        self._shown = False
        self._look_again = False
        self._handles_signals = False
        self._workers: list[subprocess.Popen[bytes]] = []

    def begin(self) -> None:
        """Have all that comes cleaned up, whatever ends the run."""
        self._handles_signals = signals.install(once=self._is_worker)
        self.config.add_cleanup(self.close)
        atexit.register(self.close)  # where a signal came just before the former

    def close(self) -> None:
        """Leave nothing behind. No signal interrupts it: what comes meanwhile only decides how the process ends."""
        atexit.unregister(self.close)
        interrupted = False
        try:
            with signals.held():
                self._clean_up()
        except KeyboardInterrupt:
            if not self._handles_signals:  # the run inside of which this one is has to end
                raise
            interrupted = True
        finally:
            if self._handles_signals:
                signals.restore()
        if self._handles_signals:
            self._set_status(interrupted)

    def _clean_up(self) -> None:
        self.end_workers(signal.SIGKILL)  # none of them is to make a database while all are dropped
        try:
            self.process.close()
        except psycopg.Error as error:
            if self.outage is None and not self._is_worker:  # a worker's databases go with the run
                said = " ".join(str(error).split())
                sys.stderr.write(f"rolecall: not all could be cleaned up, the next run will: {said}\n")

    def _set_status(self, interrupted: bool) -> None:
        """Have the process end with the status by which a shell tells the signal that has ended it."""
        if number := signals.ended_by():
            if self._session is None or sys.exc_info()[0] is not None:  # pytest has no status to give, or loses it
                raise SystemExit(128 + number)
            self._session.exitstatus = 128 + number
        elif interrupted and self._session:
            self._session.exitstatus = pytest.ExitCode.INTERRUPTED

    def end_workers(self, how: signal.Signals) -> None:
        """Send a signal to xdist's workers that are still there; after SIGKILL, wait for them to be gone."""
        for worker in self._workers:
            if worker.poll() is None:
                worker.send_signal(how)
                if how == signal.SIGKILL:
                    worker.wait()

    def look(self, error: BaseException, *, templates: bool = True) -> Outage | None:
        """Whether an error ends the run, as :func:`rolecall.process.outage.look` finds."""
        if self.process.run and (reason := outage.reason(error)):
            outage.comes_back(self.process.run)
            return outage.look(self.process.run, reason, templates=templates)
        return None

    # -- hooks

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Know what gives the process its status."""
        self._session = session

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Know xdist's workers, which have to end before what they use is removed."""
        with suppress(AttributeError):  # a worker on another machine is no process of ours
            self._workers.append(node.gateway._io.popen)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """A signal that was sent to the first process alone is for the workers, too."""
        if isinstance(excinfo.value, signals.EndedBySignal):
            self.end_workers(signal.SIGTERM)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Keep what a test raised, which its report does not tell, and look whether it ends the run."""
        report = yield
        if call.excinfo:
            item.stash[trial.RAISED] = call.excinfo.type
            if report.failed and not self.outage:
                self._look_into(item, call.excinfo.value, report)
        return report

    def _look_into(self, item: pytest.Item, error: BaseException, report: pytest.TestReport) -> None:
        lost_before = item.stash.get(trial.LOST, False)
        if outage.is_lost(error):
            item.stash[trial.LOST] = True
        found = self.look(error)
        if found and found.passes:
            self._look_again = True
        elif found:
            self.outage = found
        elif lost_before and report.when == "teardown" and isinstance(error, TransactionEndedError):
            report.outcome, report.longrepr = "passed", None  # this test has said why
        elif self.process.worker and self.process.worker.lost:
            report.sections.append(("rolecall", LOST))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Show what ends the run once, in place of what a test says, and end it."""
        if told := getattr(report, "rolecall_outage", None):  # by a worker
            self._end_run(report, Outage(*told))
        elif self.outage and report.failed:
            report.rolecall_outage = self.outage.what, self.outage.text  # type: ignore[attr-defined]
            self._end_run(report, self.outage)

    def _end_run(self, report: pytest.TestReport, why: Outage) -> None:
        if self._shown:
            report.outcome, report.longrepr = "skipped", ("", 0, why.what)
            report.rolecall_silent = True  # type: ignore[attr-defined]
        else:
            report.longrepr, report.sections = why.text, []
        self.outage, self._shown = why, True
        if self._session:
            self._session.shouldfail = why.what
        if distributor := self.config.pluginmanager.getplugin("dsession"):
            distributor.shouldstop = why.what

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Leave out of all counts what fails for a reason that was shown already."""
        return ("", "", "") if getattr(report, "rolecall_silent", False) else None

    def pytest_runtest_logfinish(self) -> None:
        """After a test that has lost its connection, have another for the next."""
        if self._look_again and self.process.run and self._session:
            self._look_again = False
            # What the test has opened may hang on its traceback, which is kept for a debugger.
            for name in ("last_type", "last_value", "last_traceback", "last_exc"):
                sys.__dict__.pop(name, None)
            gc.collect()
            if found := outage.look(self.process.run, psycopg.OperationalError()):
                self.outage, self._session.shouldfail = found, found.what
        if self.process.worker and not self.outage:
            self.process.worker.renew()
