"""How far mutants have come: a line that is rewritten after each, where there is a terminal to do it on."""

from __future__ import annotations

from collections import Counter

import pytest

WIDTH = 24  # characters of the bar


class Progress:
    """Takes the place of pytest's dots on a terminal; without one, and with ``-v``, these stay."""

    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self.reporter = reporter
        self.in_use = reporter.isatty and reporter.config.get_verbosity() <= 0
        if self.in_use:
            # pytest would add its percentage, and begin a new line, whenever it believes that one is full.
            reporter._show_progress_info = False

    def show(self, outcomes: Counter[str], total: int, seconds: float) -> None:
        """Write the line anew; ``seconds`` have gone by, and of ``total`` mutants this became of some."""
        if self.in_use and total:
            wrong = outcomes["survived"] + outcomes["error"]
            self.reporter.rewrite(line(outcomes, total, seconds), erase=True, green=not wrong, red=bool(wrong))

    def end(self) -> None:
        """Leave the line as it is."""
        if self.in_use:
            self.reporter.write_line("")


def line(outcomes: Counter[str], total: int, seconds: float) -> str:
    """A bar, and the counts."""
    done = sum(outcomes.values())
    filled = WIDTH * done // total
    bar = "█" * filled + "░" * (WIDTH - filled)
    told = f"{outcomes['killed']} killed · {outcomes['survived']} survived"
    told += f" · {outcomes['error']} error" if outcomes["error"] else ""
    return f"{bar} {done} of {total} · {told} · {done / seconds:.0f} a second"
