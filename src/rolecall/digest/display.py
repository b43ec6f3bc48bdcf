"""Shows the failures of a run: grids in place of cells, and a digest if there are many."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rolecall.digest import failures
from rolecall.digest.folded import OUTCOMES, Folded
from rolecall.digest.grid_text import GridText, grid_report
from rolecall.digest.grids import failed_grids
from rolecall.digest.sections import sections
from rolecall.digest.tally import Tally
from rolecall.report import grids, terminal
from rolecall.report.failures import DigestSection, FailedGrid, Failure
from rolecall.report.results import MUTANTS
from rolecall.settings import Names

FILE = "failures.txt"  # in pytest's cache, in the folder `d/rolecall`
MAX_LINES = 6  # of a grid above a digest
MAX_TEXT = 40  # lines of all grids there, after which no other one begins: all of it should fit two screens


class Display:
    """The failures of the tests that use rolecall. Other tests are reported as pytest always does."""

    def __init__(self, reporter: pytest.TerminalReporter, digest_from: int, cells: Tally, folded: Folded) -> None:
        self.reporter, self.config, self.folded = reporter, reporter.config, folded
        self.width = terminal.width_of(reporter)
        self.found = {
            id(report): failure
            for outcome in OUTCOMES
            for report in reporter.stats.get(outcome, [])
            if (failure := failures.read(report))
        }
        self.grids = failed_grids(self.found.values(), cells.cells)
        self.has_digest = 0 < digest_from <= len(self.found)

    def fold(self) -> None:
        """Let pytest's own sections have grids in place of cells."""
        stats = self.reporter.stats
        self.folded.begin(stats)
        if self.has_digest:
            self._fold_for_digest(stats, self.found, self.grids)
        else:
            self._fold_cells(stats, self.found, self.grids)

    def write_digest(self) -> None:
        """Put pytest's lists back, and write the digest below its sections."""
        self.folded.restore(self.reporter.stats)
        if self.has_digest:
            in_order = list(sections(self.found.values()))
            advice = self._advice(in_order, list(self.found.values()), self.grids)
            terminal.write_digest(self.reporter, in_order, len(self.found), advice)

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
