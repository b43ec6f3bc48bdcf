"""What rolecall does before the first test: a line on a terminal that changes, and a few lines in a log."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

WIDTH = 24  # characters of a bar
PATIENCE = 5.0  # seconds until the first line in a log; each other line comes after twice the time of the one before
# Up, and down with a new line: the cursor stays in its line, and pytest's writer counts its characters from 0 again.
SAME_LINE = "\x1b[1A\n"


@dataclass(frozen=True)
class BuildStep:
    """What rolecall does before the first test: ``number`` of ``total``, from 1; 0 of 0 if it is not one of many."""

    what: str
    number: int = 0
    total: int = 0


Progress = Callable[[BuildStep], None]  # is called before each step


def no_progress(step: BuildStep) -> None:
    """Show nothing."""


class BuildProgress:
    """Shows each :class:`BuildStep` that it is called with, until :meth:`end`.

    In a log, only what takes some seconds is shown, and nothing with ``-q``.
    """

    def __init__(self, reporter: pytest.TerminalReporter, clock: Callable[[], float] = time.monotonic) -> None:
        self.reporter, self.clock = reporter, clock
        self.started = self.clock()
        self.wait = PATIENCE
        self.changes = reporter.isatty and os.environ.get("TERM") != "dumb"
        self.has_line = False

    def __call__(self, step: BuildStep) -> None:
        seconds = self.clock() - self.started
        if self.changes:
            width = self.reporter.config.get_terminal_writer().fullwidth
            self.reporter.rewrite(fitted(line(step), width), erase=True)
            self.has_line = True
        elif seconds >= self.wait and self.reporter.config.get_verbosity() >= 0:
            where = f" ({step.number} of {step.total})" if step.total else ""
            self.reporter.write_line(f"rolecall: {seconds:.0f} s: {step.what}{where}")
            self.wait *= 2

    def end(self) -> None:
        """Remove the line that changes."""
        if self.has_line:
            self.reporter.rewrite("", erase=True)
            self.reporter.write(SAME_LINE)
            self.has_line = False


def line(step: BuildStep) -> str:
    """A bar, if it is known how many steps there are, and what is done now."""
    return (
        f"{bar(step.number - 1, step.total)} {step.number} of {step.total} · {step.what}" if step.total else step.what
    )


def bar(done: int, total: int) -> str:
    """A bar of :data:`WIDTH` characters."""
    filled = WIDTH * done // total
    return "█" * filled + "░" * (WIDTH - filled)


def fitted(text: str, width: int) -> str:
    """A text that does not fill a line of the terminal: a longer line could not be written again."""
    return text if len(text) < width else text[: width - 2] + "…"


def duration(seconds: float) -> str:
    """A time in words: ``12 s``, ``4 min``, ``1 h 5 min``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} min"
