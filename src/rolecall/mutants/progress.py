"""The progress of mutation testing: a line on the terminal, which is rewritten after each mutant."""

from __future__ import annotations

from collections import Counter

import pytest

from rolecall.report.progress import bar, duration, fitted


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
            width = self.reporter.config.get_terminal_writer().fullwidth
            text = fitted(line(outcomes, total, seconds), width)
            self.reporter.rewrite(text, erase=True, green=not failed, red=bool(failed))

    def end(self) -> None:
        """Leave the line as it is."""
        if self.in_use:
            self.reporter.write_line("")


def line(outcomes: Counter[str], total: int, seconds: float) -> str:
    """A bar, the counts, the time that is left, and the speed."""
    done = sum(outcomes.values())
    counts = f"{outcomes['killed'] + outcomes['pinned']} killed · {outcomes['survived']} survived"
    counts += f" · {outcomes['error']} error" if outcomes["error"] else ""
    left = f" · {duration((total - done) * seconds / done)} left" if 0 < done < total else ""
    return f"{bar(done, total)} {done} of {total} · {counts}{left} · {done / seconds:.0f} a second"
