"""pytest's hooks for failed cells: they are shown as their grids, and a digest comes last if there are many."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from rolecall.defects.trial import TrialItem
from rolecall.digest import tally
from rolecall.digest.folded import OUTCOMES, Folded
from rolecall.digest.tally import Tally
from rolecall.fixtures import needs_database
from rolecall.item import CellItem


class DigestPlugin:
    """Shows the failures of the tests that use rolecall. What shows them is imported if there are some."""

    def __init__(self, digest_from: int, cells: Tally, folded: Folded) -> None:
        self.digest_from, self.cells, self.folded = digest_from, cells, folded

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add to the report of a test what the first process needs of it."""
        report = yield
        if report.failed and (isinstance(item, CellItem | TrialItem) or needs_database(item)):
            from rolecall.digest import failures

            failures.attach(report, item, call.excinfo.value if call.excinfo else None)
        if isinstance(item, CellItem):
            tally.attach(report, item)
            # pytest keeps every report until the end, and the keywords of the three reports of a test are mostly equal.
            if report.keywords == item.reported_keywords:
                report.keywords = item.reported_keywords
            item.reported_keywords = report.keywords
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
        """Let pytest's own sections have grids in place of cells, and write the digest below all of them."""
        if terminalreporter.no_summary or not any(map(terminalreporter.stats.get, OUTCOMES)):
            return (yield)
        from rolecall.digest.display import Display

        display = Display(terminalreporter, self.digest_from, self.cells, self.folded)
        if not display.found:
            return (yield)
        display.fold()
        yield
        display.write_digest()
