"""The command ``rolecall watch`` on the toy project, in a process of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

TIMEOUT = 60.0
READY, ANSWERED = "-- watching ", " s after the "
NOTES, STEP = "test_notes.py", "migrations/phase_1_notes/1_1_notes.sql"
OTHERS = """\
import time
from pathlib import Path

import helper


def test_titles(db):
    \"\"\"Looks at the view titles, and at the value of a module of the project.\"\"\"
    (title,) = db.execute("SELECT title FROM shop.titles WHERE id = 1").fetchone()
    assert title == helper.TITLE


def test_scripts(scratch):
    \"\"\"Runs migrations: apply, verify, rollback.\"\"\"
    scratch().apply()
"""


class Watch:
    """The command while it runs. ``text`` is what it has printed."""

    def __init__(self, folder: Path, arguments: tuple[str, ...], *, terminal: bool = False) -> None:
        self.folder, self.text = folder, ""
        reader, writer = pty.openpty() if terminal else os.pipe()
        self._terminal = reader if terminal else None
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rolecall", "watch", *arguments],
            cwd=folder,
            stdin=writer if terminal else subprocess.DEVNULL,
            stdout=writer,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if terminal else None,
        )
        os.close(writer)
        self._thread = threading.Thread(target=self._read, args=(reader,), daemon=True)
        self._thread.start()

    def _read(self, reader: int) -> None:
        with suppress(OSError):  # a terminal whose other end is closed
            while data := os.read(reader, 1 << 16):
                self.text += data.decode(errors="replace").replace("\r\n", "\n")

    def save(self, name: str, text: str | None = None) -> None:
        """Write a file in place: the same text again, or another one."""
        path = self.folder / name
        path.write_text(path.read_text() if text is None else text)

    def change(self, name: str, old: str, new: str) -> None:
        """Replace a part of a file."""
        text = (self.folder / name).read_text()
        assert old in text
        self.save(name, text.replace(old, new))

    def children(self) -> list[psutil.Process]:
        """The processes that it has started, and theirs; none when it has ended."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def wait(self, text: str, start: int = 0) -> str:
        """Wait until it has printed a text after a position. Returns all that it has printed since there."""
        deadline = time.monotonic() + TIMEOUT
        while text not in self.text[start:]:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self._thread.join(1)
                if text in self.text[start:]:
                    break
                raise AssertionError(f"it did not print {text!r}, but:\n{self.text[start:]}")
            time.sleep(0.005)
        return self.text[start:]

    def answer(self, act: Callable[[], object]) -> str:
        """What it prints after an action until its run has ended."""
        start = len(self.text)
        act()
        return self.wait(ANSWERED, start)

    def press(self, keys: str) -> None:
        """Press keys in its terminal."""
        assert self._terminal is not None
        os.write(self._terminal, keys.encode())

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal, and return the exit status."""
        self.process.send_signal(number)
        return self.status()

    def status(self) -> int:
        """The exit status, when it has ended."""
        status = self.process.wait(TIMEOUT)
        self._thread.join(TIMEOUT)
        return status

    def close(self) -> None:
        """End it, if it still runs; kill it with its children if that takes too long."""
        self.process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
            return
        children = self.children()
        self.process.kill()
        for process in children:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()


Start = Callable[..., Watch]


@pytest.fixture
def start(toy: pytest.Pytester) -> Iterator[Start]:
    """A function that starts the command with arguments, in the toy project with two more modules."""
    toy.path.joinpath("test_others.py").write_text(OTHERS)
    toy.path.joinpath("helper.py").write_text("TITLE = 'her'\n")
    toy.path.joinpath("pytest.ini").write_text(toy.path.joinpath("pytest.ini").read_text() + "pythonpath = .\n")
    started: list[Watch] = []

    def start(*arguments: str, terminal: bool = False) -> Watch:
        started.append(Watch(toy.path, arguments, terminal=terminal))
        return started[-1]

    yield start
    for watch in started:
        watch.close()


@pytest.fixture
def watch(start: Start) -> Watch:
    """The command, when it watches."""
    watch = start("-q")
    watch.wait(READY)
    return watch
