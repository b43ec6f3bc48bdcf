"""pytest's hooks for the digest: it takes the place of the failures, if there are many."""

from __future__ import annotations

import os
import shlex
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from rolecall.defects.trial import TrialItem
from rolecall.digest import failures
from rolecall.digest.sections import sections
from rolecall.fixtures import needs_database
from rolecall.item import CellItem
from rolecall.report import terminal
from rolecall.report.results import DigestSection, Failure
from rolecall.settings import Names

FILE = "failures.txt"  # in pytest's cache, in the folder `d/rolecall`
OUTCOMES = ("failed", "error")


class DigestPlugin:
    """Folds the failures of the tests that use rolecall. Other tests are reported as pytest always does."""

    def __init__(self, config: pytest.Config, digest_from: int) -> None:
        self.config, self.digest_from = config, digest_from

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add to the report of a failed test what the digest needs of it."""
        report = yield
        if report.failed and (isinstance(item, CellItem | TrialItem) or needs_database(item)):
            failures.attach(report, call.excinfo.value if call.excinfo else None)
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
        """Hide the failures from pytest's own sections, and write the digest below all of them."""
        stats = terminalreporter.stats
        folded = {
            outcome: [(report, failures.read(report)) for report in stats.get(outcome, [])] for outcome in OUTCOMES
        }
        found = [failure for reports in folded.values() for _, failure in reports if failure]
        if terminalreporter.no_summary or not 0 < self.digest_from <= len(found):
            return (yield)
        before = {outcome: list(stats[outcome]) for outcome in OUTCOMES if outcome in stats}
        for outcome in before:
            stats[outcome] = [report for report, failure in folded[outcome] if not failure]
        yield
        for outcome, reports in before.items():
            added = [report for report in stats[outcome] if report not in reports]
            stats[outcome] = reports + added
        in_order = list(sections(found))
        terminal.write_digest(terminalreporter, in_order, len(found), self._advice(in_order, found))

    def _advice(self, in_order: list[DigestSection], found: list[Failure]) -> list[str]:
        """How to see what the digest leaves out."""
        path = self._write(found)
        worst = in_order[0].groups[0].failures[0]
        return [
            *([f"All failures:  {path}"] if path else []),
            f"One of them:   pytest {shlex.quote(worst.nodeid)}",
            f"No digest:     pytest {Names.of('digest_from').argument} 0",
        ]

    def _write(self, found: list[Failure]) -> str:
        """Write the explanation of every failure to a file in pytest's cache. Returns its path, "" without a cache."""
        cache: Any = getattr(self.config, "cache", None)
        if cache is None:
            return ""
        path = Path(cache.mkdir("rolecall")) / FILE
        try:
            path.write_text("".join(f"{failure.nodeid}\n{failure.text}\n\n" for failure in found), encoding="utf-8")
        except OSError:  # a full or read-only disk costs the file, not the digest
            return ""
        return os.path.relpath(path, self.config.invocation_params.dir)
