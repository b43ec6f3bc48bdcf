"""pytest's lists of failed tests, in which other reports stand for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

OUTCOMES = ("failed", "error")


class Folded:
    """Changes pytest's lists of reports: first for the explanations, then for the short summary, which comes later.

    :meth:`restore` puts the reports back. pytest's last line counts them.
    """

    def __init__(self) -> None:
        self._before: dict[str, list[Any]] = {}
        self._for_summary: Callable[[Any], bool] = lambda _: True
        self._texts: list[tuple[Any, str]] = []  # the explanations of reports that have one line for a while

    def begin(self, stats: dict[str, list[Any]]) -> None:
        """Remember the lists."""
        self._before = {outcome: list(stats[outcome]) for outcome in OUTCOMES if outcome in stats}

    def explain(self, stats: dict[str, list[Any]], replace: Callable[[Any], Iterable[Any]]) -> None:
        """Let ``replace`` say which reports stand for each report in the explanations."""
        for outcome, reports in self._before.items():
            stats[outcome] = [each for report in reports for each in replace(report)]

    def keep_in_summary(self, keep: Callable[[Any], bool]) -> None:
        """Let ``keep`` say which of the reports are in the short summary."""
        self._for_summary = keep

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """pytest has written the explanations, and has not begun the short summary."""
        for outcome, reports in self._before.items():
            terminalreporter.stats[outcome] = list(filter(self._for_summary, reports))
            for report in terminalreporter.stats[outcome]:
                self._shorten(report)

    def _shorten(self, report: Any) -> None:
        """Leave the first line of an explanation: in CI, the short summary would have all of it once more."""
        if isinstance(report.longrepr, str):
            self._texts.append((report, report.longrepr))
            report.longrepr = report.longrepr.partition("\n")[0]

    def restore(self, stats: dict[str, list[Any]]) -> None:
        """Put the reports back, and keep those that other plugins have added since."""
        for report, text in self._texts:
            report.longrepr = text
        self._texts.clear()
        for outcome, reports in self._before.items():
            known = set(map(id, reports))
            stats[outcome] = reports + [report for report in stats[outcome] if id(report) not in known]
