"""A failed grid as pytest reports a test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from rolecall.report import grids
from rolecall.report.failures import FailedGrid
from rolecall.report.grids import Pieces


class CrashLine(NamedTuple):
    """What pytest shows of a failure with ``--tb=line``, and in its short summary."""

    message: str

    def __str__(self) -> str:
        return self.message


class GridText:
    """A failed grid in place of a traceback, which pytest writes to the terminal. ``after`` are lines of text below it.

    With ``--tb=line`` it is one line.
    """

    def __init__(self, grid: FailedGrid, width: int, *, most: int | None, after: Sequence[str], one_line: bool) -> None:
        self.grid, self.width, self.most, self.after, self.one_line = grid, width, most, after, one_line
        self.reprcrash = CrashLine(f"{grid.file}:{grid.line}: {grids.headline(grid)}")

    def toterminal(self, writer: Any) -> None:
        """Write the grid, in colour if the terminal has it."""
        if self.one_line:
            return
        for line in grids.grid_lines(self.grid, self.width, self.most):
            _write(writer, line)
        for text in self.after:
            writer.line(text)

    def __str__(self) -> str:
        return "\n".join([grids.as_text(grids.grid_lines(self.grid, self.width, self.most)), *self.after])


def _write(writer: Any, line: Pieces) -> None:
    for piece in line:
        writer.write(piece.text, **piece.markup)
    writer.line()


def grid_report(grid: FailedGrid, text: GridText, reports: Sequence[Any]) -> pytest.TestReport:
    """A failed grid as pytest reports a test, with the output that its cells have printed."""
    location = (grid.file, grid.line - 1, grids.headline(grid))
    sections = [section for report in reports for section in report.sections]
    return pytest.TestReport(grid.test, location, {}, "failed", text, "call", sections)  # type: ignore[arg-type]
