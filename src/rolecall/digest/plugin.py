"""pytest's hooks for failed cells: they are shown as their grids, and a digest comes last if there are many."""

from __future__ import annotations

import os
import shlex
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rolecall.defects.trial import TrialItem
from rolecall.digest import failures, tally
from rolecall.digest.folded import OUTCOMES, Folded, GridText, grid_report
from rolecall.digest.grids import failed_grids
from rolecall.digest.sections import sections
from rolecall.digest.tally import Tally
from rolecall.fixtures import needs_database
from rolecall.item import CellItem
from rolecall.report import grids, terminal
from rolecall.report.results import MUTANTS, DigestSection, FailedGrid, Failure
from rolecall.settings import Names

FILE = "failures.txt"  # in pytest's cache, in the folder `d/rolecall`
MAX_LINES = 6  # of a grid above a digest
MAX_TEXT = 40  # lines of all grids there, after which no other one begins: all of it should fit two screens


class DigestPlugin:
    """Shows the failures of the tests that use rolecall. Other tests are reported as pytest always does."""

    def __init__(self, config: pytest.Config, digest_from: int, cells: Tally, folded: Folded) -> None:
        self.config, self.digest_from, self.cells, self.folded = config, digest_from, cells, folded
        self.width = terminal.LOG_WIDTH

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add to the report of a test what the first process needs of it."""
        report = yield
        if report.failed and (isinstance(item, CellItem | TrialItem) or needs_database(item)):
            failures.attach(report, item, call.excinfo.value if call.excinfo else None)
        if isinstance(item, CellItem):
            tally.attach(report, item)
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
        """Let pytest's own sections have grids in place of cells, and write the digest below all of them."""
        stats = terminalreporter.stats
        found = {
            id(report): failure
            for outcome in OUTCOMES
            for report in stats.get(outcome, [])
            if (failure := failures.read(report))
        }
        if terminalreporter.no_summary or not found:
            return (yield)
        self.width = terminal.width_of(terminalreporter)
        all_grids = failed_grids(found.values(), self.cells.cells)
        has_digest = 0 < self.digest_from <= len(found)
        self.folded.begin(stats)
        if has_digest:
            self._fold_for_digest(stats, found, all_grids)
        else:
            self._fold_cells(stats, found, all_grids)
        yield
        self.folded.restore(stats)
        if has_digest:
            in_order = list(sections(found.values()))
            advice = self._advice(in_order, list(found.values()), all_grids)
            terminal.write_digest(terminalreporter, in_order, len(found), advice)

    def _fold_cells(self, stats: dict[str, Any], found: dict[int, Failure], all_grids: Sequence[FailedGrid]) -> None:
        """Put each grid in the place of its first cell. The short summary has all cells."""
        places = {id(failure): grid for grid in all_grids for failure in grid.failures}
        cells: dict[int, list[Any]] = {}  # the reports, by the grid that they are cells of
        for report in stats.get("failed", []):
            grid = places.get(id(found.get(id(report))))
            if grid and not hasattr(report, "_pdbshown"):  # --pdb has shown it, and pytest does not show it again
                cells.setdefault(id(grid), []).append(report)

        def replace(report: Any) -> Iterator[Any]:
            grid = places.get(id(found.get(id(report))))
            if grid is None or report not in cells.get(id(grid), []):
                yield report
            elif report is cells[id(grid)][0]:
                yield grid_report(grid, self._text(grid, after=explanation(grid)), cells[id(grid)])

        self.folded.explain(stats, replace)
        self.folded.keep_in_summary(lambda _: True)

    def _fold_for_digest(
        self, stats: dict[str, Any], found: dict[int, Failure], all_grids: Sequence[FailedGrid]
    ) -> None:
        """Leave the tests that do not use rolecall, and the worst grids."""
        self.folded.explain(stats, lambda report: () if id(report) in found else (report,))
        self.folded.keep_in_summary(lambda report: id(report) not in found)
        lines = 0
        for number, grid in enumerate(all_grids, 1):
            lines += len(str(self._text(grid, MAX_LINES)).splitlines())
            is_last, others = lines > MAX_TEXT, all_grids[number:]
            after = [_others(others)] if others and is_last else []
            stats["failed"].append(grid_report(grid, self._text(grid, MAX_LINES, after), []))
            if is_last:
                return

    def _text(self, grid: FailedGrid, most: int | None = None, after: Iterable[str] = ()) -> GridText:
        is_one_line = self.config.option.tbstyle == "line"
        return GridText(grid, self.width, most=most, after=list(after), one_line=is_one_line)

    def _advice(
        self, in_order: list[DigestSection], found: list[Failure], all_grids: Sequence[FailedGrid]
    ) -> list[str]:
        """How to see what the digest leaves out."""
        path = self._write(found, all_grids)
        worst = in_order[0].groups[0].failures[0]
        return [
            *([f"All failures:  {path}"] if path else []),
            f"One of them:   pytest {_arguments(worst.nodeid)}",
            f"No digest:     pytest {Names.of('digest_from').argument} 0",
        ]

    def _write(self, found: list[Failure], all_grids: Sequence[FailedGrid]) -> str:
        """Write every grid and the explanation of every failure to a file in pytest's cache.

        Returns its path, "" without a cache.
        """
        cache: Any = getattr(self.config, "cache", None)
        if cache is None:
            return ""
        path = Path(cache.mkdir("rolecall")) / FILE
        texts = [f"{grids.headline(grid)}\n{str(self._text(grid)).strip()}\n\n" for grid in all_grids]
        texts += [f"{failure.nodeid}\n{failure.text}\n\n" for failure in found]
        try:
            path.write_text("".join(texts), encoding="utf-8")
        except OSError:  # a full or read-only disk costs the file, not the digest
            return ""
        return os.path.relpath(path, self.config.invocation_params.dir)


def explanation(grid: FailedGrid) -> Iterator[str]:
    """The worst cell in full, and a line for each reason of the others."""
    yield ""
    yield from grid.failures[0].text.splitlines()
    yield from (grids.reason(kind, group) for kind, group in grid.reasons)


def _others(others: Sequence[FailedGrid]) -> str:
    cells = sum(len(grid.failures) for grid in others)
    return f"\nand {cells:,} wrong cells in {'1 more grid' if len(others) == 1 else f'{len(others)} more grids'}"


def _arguments(nodeid: str) -> str:
    """The arguments of a run that has only this test, or only this mutant, which is no file."""
    mutant = nodeid.removeprefix(MUTANTS)
    if mutant == nodeid:
        return shlex.quote(nodeid)
    return f"{Names.of('mutants').argument} {Names.of('mutants_of').argument} {shlex.quote(mutant)}"
