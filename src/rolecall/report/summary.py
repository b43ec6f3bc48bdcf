"""The summary of a run: what was proven, how much of the schema was covered, and what was not."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rolecall.report.results import CellTally, CoverageCount
from rolecall.report.terminal import width_of

if TYPE_CHECKING:
    import pytest

    from rolecall.settings import Settings

MAX_NAMES = 3  # that are not covered, before "and n more"

# What each count says, if it is complete: without --rolecall-coverage, and with it, where that is another thing.
MEANING = {
    "policies": "a grid tried each of their commands",
    "constraints": "refused a value",
    "functions x personas": "called, or refused",
    "views x personas": "read, or refused",
    "rollbacks": "ran",
    "columns not deciding": "changed, and no verdict differed",
    "lines of functions": "ran",
    "grants": "used",
    "indexes": "used",
    "triggers": "fired",
    "conditions that decide": "changed, and something differed",
    "scripts": "ran",
    "lines of DO blocks": "ran",
}
FULL_MEANING = {
    "policies": "let a row through alone, and stopped one",
    "constraints": "let a value through, and refused one",
}


def write_summary(
    reporter: pytest.TerminalReporter,
    server: str,
    settings: Settings,
    cells: CellTally,
    counts: Iterable[CoverageCount],
    seconds: float,
    gaps: Sequence[str] = (),
    notes: Iterable[str] = (),
    problems: Iterable[str] = (),
) -> None:
    """Write the section of rolecall: the cells in words, and the counts.

    ``gaps`` are what the run does not prove, besides what the counts lack; ``notes`` are about the files, and the
    ``problems`` fail the run. With ``--rolecall-coverage``, it names everything that is not covered.
    """
    reporter.section("rolecall", sep="-")
    reporter.line(f"{server} · default privileges {settings.default_privileges} · {seconds:.1f} s")
    if cells.tried:
        reporter.line(in_words(cells), green=cells.right == cells.tried, red=bool(cells.wrong))
    for count in counts:
        _write_count(reporter, count, coverage=settings.coverage)
    if gaps:
        reporter.line(f"not proven: {'; '.join(gaps)}", yellow=True)
    if report := settings.report:  # the folder of --rolecall-report
        folder = os.path.relpath(report, reporter.config.invocation_params.dir)
        reporter.line(f"page: {folder}/report.html, which `rolecall report {folder}` writes")
    for note in notes:
        reporter.line(f"  note: {note}", yellow=True)
    for problem in problems:
        reporter.line(f"  ERROR: {problem}", red=True)


def in_words(cells: CellTally) -> str:
    """A sentence: who tried how many cells, and how many are as their grids say."""
    personas, tried = _count(cells.personas, "persona", "personas"), _count(cells.tried, "cell", "cells")
    subject = f"{personas} tried {tried} of {_count(cells.grids, 'grid', 'grids')}"
    if cells.right == cells.tried:
        return f"{subject}: every cell is as its grid says."
    parts = [
        f"{cells.right:,} {'is' if cells.right == 1 else 'are'} as the grid says",
        *([f"{cells.wrong:,} {'differs' if cells.wrong == 1 else 'differ'}"] if cells.wrong else []),
        *([f"{cells.undecided:,} {'is' if cells.undecided == 1 else 'are'} not decided"] if cells.undecided else []),
    ]
    return f"{subject}: {', '.join(parts)}."


def gaps(cells: CellTally, *, skipped: int, deselected: int, ended_early: bool, is_selection: bool) -> list[str]:
    """What a run does not prove: tests that did not run, and cells that could not."""
    return [
        *(["the run ended early"] if ended_early else []),
        *([f"{_count(deselected, 'test', 'tests')} deselected"] if deselected else []),
        *(["only some tests were selected"] if is_selection and not deselected else []),
        *([f"{_count(skipped, 'test', 'tests')} skipped"] if skipped else []),
        *([f"{_count(cells.failed, 'cell', 'cells')} could not be tried"] if cells.failed else []),
    ]


def _write_count(reporter: pytest.TerminalReporter, count: CoverageCount, *, coverage: bool) -> None:
    """Write a line: how many are covered, and what that means, or the first names of those that are not."""
    complete = not count.missing
    start = f"  {count.what:21}{count.covered:4,} of {count.total:<3,}"
    reporter.write(start.rstrip(), green=complete, yellow=not complete)
    if complete:
        meaning = (FULL_MEANING if coverage else {}).get(count.what) or MEANING.get(count.what, "")
        reporter.line(f"{start[len(start.rstrip()) :]}   {meaning}" if meaning else "")
    elif coverage:
        reporter.line("   without")
        for name in count.missing:
            reporter.line(f"    {name}", red=True)
    else:
        reporter.line(f"   without {_names(count.missing, width_of(reporter) - len(start.rstrip()) - 11)}")


def _names(missing: Sequence[str], width: int) -> str:
    """As many names as fit, and at least one."""
    shown = min(len(missing), MAX_NAMES)
    while shown > 1 and len(first(missing, shown)) > width:
        shown -= 1
    return first(missing, shown)


def first(names: Sequence[str], count: int) -> str:
    """The first names, and how many more there are."""
    rest = len(names) - count
    return ", ".join(names[:count]) + (f" and {rest:,} more" if rest > 0 else "")


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
