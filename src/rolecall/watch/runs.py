"""One run of pytest in a fork of the watching process."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import pytest

from rolecall.watch.answer import Answer, Message
from rolecall.watch.concern import Concern
from rolecall.watch.databases import Kept
from rolecall.watch.inputs import Inputs
from rolecall.watch.libraries import ALREADY_IMPORTED

PATIENCE = 5.0  # seconds for a run to tear down


class Run:
    """A run that goes on. ``connection`` is readable when it has sent a message, and when it has ended."""

    def __init__(self, process: int, connection: Connection, concern: Concern) -> None:
        self.process, self.connection, self.concern = process, connection, concern
        self._status: int | None = None

    def messages(self) -> list[Message]:
        """The messages that came since the last call."""
        found: list[Message] = []
        with suppress(EOFError, OSError):
            while self.connection.poll():
                found.append(self.connection.recv())
        return found

    def poll(self) -> int | None:
        """The exit status, minus the number of the signal that ended it; None while it goes on."""
        if self._status is None:
            process, status = os.waitpid(self.process, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if process else None
        return self._status

    def wait(self, seconds: float | None = None) -> int | None:
        """Its exit status, once it has ended; None if it goes on after that time."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while self.poll() is None and (deadline is None or time.monotonic() < deadline):
            time.sleep(0.002)
        return self._status

    def end(self) -> None:
        """End it with its children. It may tear down for some seconds."""
        for number, seconds in ((signal.SIGTERM, PATIENCE), (signal.SIGKILL, None)):
            if self.poll() is None:
                with suppress(ProcessLookupError):
                    os.kill(self.process, number)
                with suppress(ProcessLookupError, PermissionError):  # its group, once it has one
                    os.killpg(self.process, number)
                self.wait(seconds)


def start(
    arguments: Sequence[str],
    concern: Concern,
    kept: Kept | None,
    since: Inputs | None,
    before: Callable[[], None],
) -> Run:
    """Start a run. ``before`` is called in the child first. For the rest, see :class:`Answer`."""
    reader, writer = Pipe(duplex=False)
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    process = os.fork()
    if not process:
        status = 1
        try:
            _separate(parent)
            reader.close()
            before()
            hooks = Answer(concern, kept, since, writer.send)
            status = pytest.main([*arguments, "-W", ALREADY_IMPORTED], plugins=[hooks])
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException:  # pytest shows its own
            traceback.print_exc()
        finally:
            os._exit(status)  # what the parent has to clean up is not this process's
    writer.close()
    return Run(process, reader, concern)


def _separate(parent: int) -> None:
    """Let this process have no terminal to read from, its own group, and the handlers of a new process."""
    os.setpgid(0, 0)  # Ctrl-C is for the parent, which ends this process
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)
