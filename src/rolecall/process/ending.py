"""The end of one process of a run: normal, by a signal, or without its server. It always cleans up."""

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
from rolecall.process.outage import Outage, find_outage, is_lost, suspicious_error, wait_for_recovery
from rolecall.server import signals
from rolecall.worker import Worker

LOST = "The server ended a connection of this test, and accepts new ones. The next tests have a new connection."


class Process(Protocol):
    """The parts of a process that its end needs."""

    run: Run | None
    worker: Worker | None

    def close(self) -> None:
        """Close connections, drop databases, stop the server."""


class Ending:
    """pytest's hooks for the end of a run. ``outage`` is the reason why the run cannot continue, or None."""

    def __init__(self, config: pytest.Config, process: Process) -> None:
        self.config, self.process = config, process
        self.outage: Outage | None = None
        self._is_worker = hasattr(config, "workerinput")
        self._session: pytest.Session | None = None
        self._outage_shown = False
        self._check_again = False
        self._handles_signals = False
        self._workers: list[subprocess.Popen[bytes]] = []

    def begin(self) -> None:
        """Register the cleanup and the signal handlers before the run creates anything."""
        self._handles_signals = signals.install(once=self._is_worker)
        self.config.add_cleanup(self.close)
        atexit.register(self.close)  # for a signal that comes just before pytest's cleanup

    def close(self) -> None:
        """Clean up everything. A signal that comes meanwhile does not interrupt it, and only sets the exit status."""
        atexit.unregister(self.close)
        interrupted = False
        try:
            with signals.deferred():
                self._clean_up()
        except KeyboardInterrupt:
            if not self._handles_signals:  # this run is inside another one, which has to end
                raise
            interrupted = True
        finally:
            if self._handles_signals:
                signals.restore()
        if self._handles_signals:
            self._set_status(interrupted)

    def _clean_up(self) -> None:
        self.end_workers(signal.SIGKILL)  # a worker must not create a database while all are dropped
        try:
            self.process.close()
        except psycopg.Error as error:
            if self.outage is None and not self._is_worker:  # the end of the run drops a worker's databases
                message = " ".join(str(error).split())
                sys.stderr.write(f"rolecall: the cleanup failed, the next run will repeat it: {message}\n")

    def _set_status(self, interrupted: bool) -> None:
        """Set the exit status that a shell uses for a process that a signal has ended."""
        if number := signals.ended_by():
            if self._session is None or sys.exc_info()[0] is not None:  # pytest has no exit status, or loses it
                raise SystemExit(128 + number)
            self._session.exitstatus = 128 + number
        elif interrupted and self._session:
            self._session.exitstatus = pytest.ExitCode.INTERRUPTED

    def end_workers(self, number: signal.Signals) -> None:
        """Send a signal to xdist's workers that still run. After SIGKILL, wait until they have ended."""
        for worker in self._workers:
            if worker.poll() is None:
                worker.send_signal(number)
                if number == signal.SIGKILL:
                    worker.wait()

    def find_outage(self, error: BaseException, *, templates: bool = True) -> Outage | None:
        """The outage behind an error; None if the run can continue. See :func:`rolecall.process.outage.find_outage`."""
        if self.process.run and (cause := suspicious_error(error)):
            wait_for_recovery(self.process.run)
            return find_outage(self.process.run, cause, templates=templates)
        return None

    # -- hooks

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Store the session, which has the exit status."""
        self._session = session

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Store xdist's workers: they must end before their databases are dropped."""
        with suppress(AttributeError):  # a worker on another machine has no local process
            self._workers.append(node.gateway._io.popen)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Send a signal on to the workers, if only the first process received it."""
        if isinstance(excinfo.value, signals.EndedBySignal):
            self.end_workers(signal.SIGTERM)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Store the exception type of a test, which its report lacks, and check whether the error ends the run.

        Raises EndedBySignal again if another error of the test has hidden it, for example of a rollback.
        """
        report = yield
        if self._handles_signals and (number := signals.ended_by()):
            raise signals.EndedBySignal(number)
        if call.excinfo:
            item.stash[trial.EXCEPTION] = call.excinfo.type
            if report.failed and not self.outage:
                self._handle_error(item, call.excinfo.value, report)
        return report

    def _handle_error(self, item: pytest.Item, error: BaseException, report: pytest.TestReport) -> None:
        lost_before = item.stash.get(trial.LOST, False)
        if is_lost(error):
            item.stash[trial.LOST] = True
        outage = self.find_outage(error)
        if outage and outage.may_pass:
            self._check_again = True
        elif outage:
            self.outage = outage
        elif lost_before and report.when == "teardown" and isinstance(error, TransactionEndedError):
            report.outcome, report.longrepr = "passed", None  # the test has already reported the lost connection
        elif self.process.worker and self.process.worker.lost:
            report.sections.append(("rolecall", LOST))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Show an outage once, in place of the error of a test, and end the run."""
        if message := getattr(report, "rolecall_outage", None):  # from a worker
            self._end_run(report, Outage(*message))
        elif self.outage and report.failed:
            report.rolecall_outage = self.outage.what, self.outage.text  # type: ignore[attr-defined]
            self._end_run(report, self.outage)

    def _end_run(self, report: pytest.TestReport, outage: Outage) -> None:
        if self._outage_shown:
            report.outcome, report.longrepr = "skipped", ("", 0, outage.what)
            report.rolecall_silent = True  # type: ignore[attr-defined]
        else:
            report.longrepr, report.sections = outage.text, []
        self.outage, self._outage_shown = outage, True
        if self._session:
            self._session.shouldfail = outage.what
        if distributor := self.config.pluginmanager.getplugin("dsession"):
            distributor.shouldstop = outage.what

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Leave a failure out of all counts if its outage was already shown."""
        return ("", "", "") if getattr(report, "rolecall_silent", False) else None

    def pytest_runtest_logfinish(self) -> None:
        """Reconnect after a test that has lost its connection."""
        if self._check_again and self.process.run and self._session:
            self._check_again = False
            # The traceback, which is stored for a debugger, may keep connections of the test open.
            for name in ("last_type", "last_value", "last_traceback", "last_exc"):
                sys.__dict__.pop(name, None)
            gc.collect()
            if outage := find_outage(self.process.run, psycopg.OperationalError()):
                self.outage, self._session.shouldfail = outage, outage.what
        if self.process.worker and not self.outage:
            self.process.worker.renew()
