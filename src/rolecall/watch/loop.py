"""The process that watches: it keeps the server up, and starts a run for each save."""

from __future__ import annotations

import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import psycopg
import pytest

from rolecall.access.world import World
from rolecall.database.provision import provision
from rolecall.errors import RolecallError
from rolecall.server import signals
from rolecall.watch import databases, keys, runs
from rolecall.watch.answer import NEW_SERVER, Message, Rest, Verdict
from rolecall.watch.concern import ALL, NOTHING, Concern, Project, concern_of
from rolecall.watch.databases import Kept
from rolecall.watch.inputs import Inputs
from rolecall.watch.libraries import import_once, imported_files
from rolecall.watch.saves import Saves

QUIET = 0.02  # seconds without another event: an editor may write several files, or one in several steps
GONE = 0.15  # seconds for a file that an editor has moved away to come back
COMPLETE = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)


class HasFileno(Protocol):
    """What a selector waits for."""

    def fileno(self) -> int:
        """The descriptor."""


class StartAgain(Exception):  # noqa: N818 - no error
    """A module that this process has imported was saved."""


def watch(arguments: Sequence[str]) -> int:
    """Watch until a key or a signal ends it. Returns the exit status: 0, or pytest's for a wrong command line."""
    installed = signals.install()
    try:
        with ExitStack() as stack:
            return _Watching(arguments, stack).run()
    except KeyboardInterrupt:  # EndedBySignal is one
        return 0
    except StartAgain:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - this command again
    finally:
        if installed:
            signals.restore()


class _Watching:
    """The state of this process. ``stack`` ends the run, the watching and the server."""

    def __init__(self, arguments: Sequence[str], stack: ExitStack) -> None:
        self.arguments = list(arguments)
        self.project: Project
        self.saves: Saves
        self.kept: Kept | None = None  # None: there is no server, or it could not be built
        self.since: Inputs | None = None  # what the databases were built from at the last complete run
        self.running: runs.Run | None = None
        self.unfinished = NOTHING  # what runs, or could not run
        self._files: set[Path] = set()  # saved, and not answered
        self._first = self._due = 0.0  # when the first of them was, and when they are taken for complete
        self._saved = 0.0  # when those were that a run answers
        self._verdict: float | None = None
        self._has_rest = False
        self._waited = False
        self._libraries: list[str] = []
        self._stack = stack
        self._server = stack.enter_context(ExitStack())
        self._selector = stack.enter_context(selectors.DefaultSelector())

    def run(self) -> int:
        """Read the settings, start the server, and answer each save."""
        import_once()
        self._stack.callback(self._close)
        if (status := self._read_settings()) is not None:
            return status
        self.saves = Saves(self.project.folders)
        self._on(self.saves, self._note_saves)
        wakeups = self._stack.enter_context(_wakeups())
        self._on(wakeups, lambda: drain(wakeups))
        self._say("the server and the databases are prepared")
        self._start_server()
        self.since = self.kept.inputs if self.kept else None
        terminal = self._stack.enter_context(keys.keys())
        advice = "Ctrl-C ends." if terminal is None else "Enter runs all tests, q ends."
        self._say(f"watching {self.project.root}: {advice}")
        if terminal is not None:
            self._on(terminal, lambda: self._read_key(terminal))
        while True:
            self._wait()

    def _say(self, text: str, before: str = "") -> None:
        print(f"{before}-- {text}", flush=True)

    def _on(self, source: HasFileno | int, action: Callable[[], None]) -> None:
        self._selector.register(source, selectors.EVENT_READ, action)

    def _wait(self) -> None:
        timeout = max(self._due - time.monotonic(), 0) if self._files else None
        for key, _ in self._selector.select(timeout):
            key.data()
        if self.running and self.running.poll() is not None:
            self._finish(self.running)
        if self._files and time.monotonic() >= self._due:
            self._answer()

    # -- the server

    def _read_settings(self) -> int | None:
        """Let a run read the settings. Returns its exit status if it fails, or has nothing to run (``--version``)."""
        run = runs.start(self.arguments, NOTHING, None, None, lambda: None)
        self._stack.callback(run.end)
        status = run.wait()
        for message in run.messages():
            self._receive(message)
        return None if status == NEW_SERVER else status

    def _start_server(self) -> None:
        """Start a server with the settings of now, and build the databases. An error is shown."""
        self._stop_server()
        try:
            provisioner = self._server.enter_context(provision(self.project.settings, World()))
            self.kept = databases.start(provisioner)
        except (RolecallError, psycopg.Error) as error:
            print(f"ERROR: {error}", flush=True)
            self._stop_server()

    def _stop_server(self) -> None:
        self.kept = None
        with signals.deferred():
            self._server.close()

    def _close(self) -> None:
        """End the run and the watching."""
        with signals.deferred():
            if self.running:
                self.running.end()
            if hasattr(self, "saves"):
                self.saves.close()
            self._server.close()

    # -- events

    def _note_saves(self) -> None:
        new = self.saves.read()
        if not self._files:
            self._first, self._waited = time.monotonic(), False
        self._files |= new
        self._due = time.monotonic() + QUIET

    def _read_key(self, descriptor: int) -> None:
        pressed = os.read(descriptor, 100)
        if keys.END in pressed or not pressed:
            raise KeyboardInterrupt
        if keys.ALL in pressed:
            self._saved = time.monotonic()
            self._begin(ALL)

    def _receive(self, message: Message) -> None:
        if isinstance(message, Project):
            self.project = message
        elif isinstance(message, Kept):
            self.kept = message
        elif isinstance(message, Verdict):
            self._verdict = time.monotonic()
        elif isinstance(message, Rest):
            self._has_rest = True
        else:
            self._libraries += message

    # -- runs

    def _answer(self) -> None:
        """Start a run of what the saved files concern, once they are complete."""
        if not self._waited and not all(path.exists() for path in self._files):
            self._waited, self._due = True, time.monotonic() + GONE
            return
        files, self._files = self._files, set()
        concern = concern_of(files, self.project)
        if not concern:
            return
        if own := sorted(str(path) for path in files if str(path) in imported_files()):
            self._say(f"{own[0]} is imported here: start again")
            raise StartAgain
        if self.unfinished and not self.unfinished.everything:
            concern = concern_of(files | self.unfinished.files, self.project)
        self._saved = self._first
        self._begin(concern)

    def _begin(self, concern: Concern) -> None:
        """Start a run in place of one that runs."""
        if self.running:
            self._end_running()
        self.unfinished = concern
        if self.kept is None:
            self._start_server()
        if self.kept:
            self._start(concern)

    def _end_running(self) -> None:
        """End the run if it goes on, and read its last messages."""
        run, self.running = self.running, None
        if run:
            self._selector.unregister(run.connection)
            if run.poll() is None:
                run.end()
                self._say("ended: another file was saved", before="\n")
            for message in run.messages():
                self._receive(message)
            run.connection.close()

    def _start(self, concern: Concern) -> None:
        arguments = [*self.arguments, "--no-header"]
        if not concern.everything and self.project.has_xdist:
            arguments += ["-n", "0"]
        self._verdict, self._has_rest = None, False
        self.running = runs.start(arguments, concern, self.kept, self.since, self.saves.close_in_child)
        self._on(self.running.connection, self._read_messages)

    def _read_messages(self) -> None:
        for message in self.running.messages() if self.running else ():
            self._receive(message)

    def _finish(self, run: runs.Run) -> None:
        """Note what a run has left, and repeat it if it needs another server."""
        status = run.poll()
        self._end_running()
        if status == NEW_SERVER:
            self._start_server()
            if self.kept:
                self._start(self.unfinished)
            return
        goes_on = self._has_rest and status in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        if self._verdict:
            what = "key" if run.concern is ALL else "save"
            follows = "; the slower tests follow" if goes_on else ""
            self._say(f"{self._verdict - self._saved:.2f} s after the {what}{follows}")
        elif status != pytest.ExitCode.USAGE_ERROR:  # that has shown what is wrong
            self._say(f"the run ended without a result, with status {status}", before="\n")
        if goes_on:
            self._begin(replace(run.concern, rest=True))
        elif status in COMPLETE and self.kept:
            self.since, self.unfinished = self.kept.inputs, NOTHING
        if self._libraries:
            import_once(self._libraries)
            self._libraries.clear()
        if self.project.folders != self.saves.folders:
            old, self.saves = self.saves, Saves(self.project.folders)
            self._selector.unregister(old)
            old.close()
            self._on(self.saves, self._note_saves)


def drain(descriptor: int) -> None:
    """Read what is there."""
    os.read(descriptor, 1 << 12)


@contextmanager
def _wakeups() -> Iterator[int]:
    """A descriptor that is readable when a child has ended."""
    reader, writer = os.pipe()
    for descriptor in (reader, writer):
        os.set_blocking(descriptor, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(before)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(reader)
        os.close(writer)
