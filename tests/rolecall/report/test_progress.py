"""What is shown while the databases are built: a line that changes on a terminal, and a few lines in a log."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from rolecall.report.progress import SAME_LINE, BuildProgress, BuildStep, bar, duration, fitted, line


class Reporter:
    """The parts of pytest's reporter that the progress needs. It stores the output."""

    def __init__(self, *, isatty: bool, verbosity: int = 0) -> None:
        self.isatty, self.written = isatty, list[str]()
        writer = SimpleNamespace(fullwidth=60)
        self.config = SimpleNamespace(get_verbosity=lambda: verbosity, get_terminal_writer=lambda: writer)

    def rewrite(self, text: str, *, erase: bool) -> None:
        assert erase
        self.written.append(text)

    def write(self, text: str) -> None:
        self.written.append(text)

    write_line = write


def every(seconds: float) -> Callable[[], float]:
    """A clock that goes on with each look."""
    times: Iterator[float] = count(0, seconds)
    return lambda: next(times)


def written(reporter: Any, steps: int, seconds: float = 1) -> list[str]:
    """What is written for some steps that take so long each."""
    progress = BuildProgress(reporter, every(seconds))
    for number in range(1, steps + 1):
        progress(BuildStep(f"phase 1 of 1: {number}.sql", number, steps))
    progress.end()
    output: list[str] = reporter.written
    return output


def test_on_a_terminal_one_line_changes_and_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert written(Reporter(isatty=True), 2) == [
        f"{'░' * 24} 1 of 2 · phase 1 of 1: 1.sql",
        f"{'█' * 12}{'░' * 12} 2 of 2 · phase 1 of 1: 2.sql",
        "",
        SAME_LINE,
    ]


def test_nothing_is_removed_that_was_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert written(Reporter(isatty=True), 0) == []


def test_a_log_has_a_line_only_for_what_takes_long() -> None:
    assert written(Reporter(isatty=False), 4) == []


def test_a_terminal_that_cannot_move_its_cursor_is_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert written(Reporter(isatty=True), 4) == []


def test_the_lines_of_a_log_become_rare() -> None:
    lines = written(Reporter(isatty=False), 100)
    assert lines[0] == "rolecall: 5 s: phase 1 of 1: 5.sql (5 of 100)"
    assert [int(text.split()[1]) for text in lines] == [5, 10, 20, 40, 80]


def test_a_log_has_no_line_with_q() -> None:
    assert written(Reporter(isatty=False, verbosity=-1), 100) == []


def test_a_step_that_is_not_one_of_many_has_no_bar() -> None:
    assert line(BuildStep("the rows of the world")) == "the rows of the world"


def test_a_long_line_is_cut() -> None:
    assert fitted("x" * 80, 80) == "x" * 78 + "…"
    assert fitted("x" * 79, 80) == "x" * 79


def test_a_bar() -> None:
    assert (bar(0, 3), bar(1, 3), bar(3, 3)) == ("░" * 24, "█" * 8 + "░" * 16, "█" * 24)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3540, "59 min"), (3900, "1 h 5 min"), (7190, "2 h 0 min")],
)
def test_a_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("processes", ["0", "2"])
@pytest.mark.parametrize("no_color", ["", "1"], ids=["colour", "NO_COLOR"])
def test_pytests_dots_and_percent_come_as_always(
    monkeypatch: pytest.MonkeyPatch, processes: str, no_color: str
) -> None:
    """The line was there, and the dots begin where they do without it."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.delenv("PY_COLORS")  # which pytester sets
    monkeypatch.setenv("COLUMNS", "80")
    output = on_a_terminal([sys.executable, "-m", "pytest", "-n", processes, "test_notes.py"])
    assert "░ 1 of 4 · platform: platform.sql" in output
    assert "3 of 4 · phase 1 of 1: 1_1_notes.sql" in output
    assert "the rows of the world" in output
    assert ("\x1b[3" in output) is not bool(no_color)
    after = re.sub(r"\x1b\[[0-9;]*m", "", output).split(SAME_LINE.replace("\n", "\r\n"))[-1]
    dots = [text for text in after.splitlines() if ".." in text]
    assert [re.sub(r"^test_notes.py ", "", text).replace(" ", "") for text in dots] == ["." * 40 + "[100%]"]
    assert "40 passed" in after


def on_a_terminal(command: list[str]) -> str:
    """The output of a command whose output is a terminal."""
    parent, child = pty.openpty()
    with subprocess.Popen(command, stdin=child, stdout=child, stderr=child):
        os.close(child)
        output = b""
        try:
            while text := os.read(parent, 1000):
                output += text
        except OSError:  # the other side is closed
            pass
    os.close(parent)
    return output.decode()
