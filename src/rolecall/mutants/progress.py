"""The progress of mutation testing: a line on the terminal, which is rewritten after each mutant."""

from __future__ import annotations

from collections import Counter

import pytest

WIDTH = 24  # characters of the bar


class Progress:
    """Replaces pytest's dots on a terminal. Without a terminal, or with ``-v``, the dots stay."""

    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self.reporter = reporter
        self.in_use = reporter.isatty and reporter.config.get_verbosity() <= 0
        if self.in_use:
            # Otherwise pytest adds its percentage, and starts a new line when it counts the line as full.
            reporter._show_progress_info = False

    def show(self, outcomes: Counter[str], total: int, seconds: float) -> None:
        """Rewrite the line with the outcomes so far, of ``total`` mutants, after ``seconds``."""
        if self.in_use and total:
            failed = outcomes["survived"] + outcomes["error"]
            self.reporter.rewrite(line(outcomes, total, seconds), erase=True, green=not failed, red=bool(failed))

    def end(self) -> None:
        """Leave the line as it is."""
        if self.in_use:
            self.reporter.write_line("")


def line(outcomes: Counter[str], total: int, seconds: float) -> str:
    """A bar, the counts and the speed."""
    done = sum(outcomes.values())
    filled = WIDTH * done // total
    bar = "█" * filled + "░" * (WIDTH - filled)
    counts = f"{outcomes['killed'] + outcomes['pinned']} killed · {outcomes['survived']} survived"
    counts += f" · {outcomes['error']} error" if outcomes["error"] else ""
    return f"{bar} {done} of {total} · {counts} · {done / seconds:.0f} a second"
