"""A grid with its wrong cells marked, as text for the terminal: only the lines that have one."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from rolecall.report.results import FailedGrid, FailureGroup, GridLine, GridVerdict

GAP = 3  # spaces between columns
GUTTER = 5  # characters of the line numbers
NAMES = 24  # characters of the names in a line; a longer name has a longer line
NOT_TRIED = "·"
RIGHT: Mapping[str, bool] = {"light": True}
WORST: Mapping[str, bool] = {"red": True, "bold": True}
WRONG: Mapping[str, bool] = {"yellow": True, "bold": True}
COUNTED = {"let in": "let in", "broken": "broken", "refused": "refused", "other": "refused in another way"}


class Piece(NamedTuple):
    """A part of a line, with the markup of pytest's terminal writer. It means nothing that the text does not say."""

    text: str
    markup: Mapping[str, bool] = {}


Pieces = list[Piece]


def headline(grid: FailedGrid) -> str:
    """How many cells of which table are wrong."""
    return f"{len(grid.failures):,} of {grid.cells:,} cells of {grid.table} differ"


def grid_lines(grid: FailedGrid, width: int, most: int | None = None) -> Iterator[Pieces]:
    """The grid, in lines of at most ``width`` characters if the names allow it.

    It has the first ``most`` lines of the grid that have a wrong cell, and says how many others there are.
    """
    shown = grid.lines[:most]
    yield [Piece(f"{grid.file}:{grid.line}: "), *_legend(shown)]
    names = max(len(_last_names(line.personas)) for line in shown) + 2 + GAP  # and the spaces before and after them
    for columns in _bands(grid, shown, width - GUTTER - names):
        widths = [_width(grid, shown, column) for column in columns]
        titles = [grid.commands[column].ljust(size) for column, size in zip(columns, widths, strict=True)]
        yield [Piece(" " * (GUTTER + names) + (" " * GAP).join(titles).rstrip())]
        for row, lines in groupby(shown, key=lambda line: line.row):
            yield [Piece(f"{'':{GUTTER}}{row}"), Piece(_others(grid.others.get(row, 0)), RIGHT)]
            for line in lines:
                for names_above in _names_above(line.personas, width - GUTTER - 2):
                    yield [Piece(f"{'':{GUTTER}}  {names_above}")]
                yield list(_pieces(line, names, columns, widths))
    if rest := grid.lines[len(shown) :]:
        cells = sum(len(line.personas) * sum(bool(each.kind) for each in line.verdicts) for line in rest)
        count = "1 more line" if len(rest) == 1 else f"{len(rest)} more lines"
        yield [Piece(f"{'':{GUTTER}}and {count} with {cells} wrong {'cell' if cells == 1 else 'cells'}")]


def reason(kind: str, group: FailureGroup) -> str:
    """A line for cells that fail for one reason."""
    return f"and {len(group.failures)} {COUNTED[kind]}: {group.subject}  ({group.details})"


def as_text(lines: Iterator[Pieces]) -> str:
    """The lines without their markup."""
    return "\n".join("".join(piece.text for piece in line) for line in lines)


# ------------------------------------------------------------------ lines


def _legend(lines: Sequence[GridLine]) -> Pieces:
    """What the first wrong cell means, and a cell without a verdict."""
    verdicts = [verdict for line in lines for verdict in line.verdicts]
    first = next(verdict for verdict in verdicts if verdict.kind)
    pieces = [_piece(first), Piece(f": expected {first.expected or 'nothing yet'}, got {first.got}")]
    if any(not verdict.tried for verdict in verdicts):
        pieces.append(Piece(f"; {NOT_TRIED} was not tried"))
    return pieces


def _pieces(line: GridLine, names: int, columns: Sequence[int], widths: Sequence[int]) -> Iterator[Piece]:
    """A line of the grid, with the last of its names."""
    yield Piece(f"{line.line:{GUTTER - 1}} ")
    yield Piece(f"  {_last_names(line.personas)}".ljust(names))
    for column, width in zip(columns, widths, strict=True):
        piece = _piece(line.verdicts[column])
        yield piece
        if column != columns[-1]:
            yield Piece(" " * (width - len(piece.text) + GAP))


def _piece(verdict: GridVerdict) -> Piece:
    if verdict.kind:
        return Piece(f"{verdict.expected or '?'}≠{verdict.got}", WORST if verdict.kind == "let in" else WRONG)
    return Piece(verdict.expected if verdict.tried else NOT_TRIED, RIGHT)


def _others(count: int) -> str:
    return f"  ({count} other {'persona is' if count == 1 else 'personas are'} right)" if count else ""


# ------------------------------------------------------------------ widths


def _bands(grid: FailedGrid, lines: Sequence[GridLine], width: int) -> Iterator[list[int]]:
    """The columns that stand beside each other: all, if they fit; otherwise those with a wrong cell, in turn."""
    columns = list(range(len(grid.commands)))
    if sum(_width(grid, lines, column) + GAP for column in columns) - GAP > width:
        columns = [column for column in columns if any(line.verdicts[column].kind for line in lines)]
    band: list[int] = []
    used = 0
    for column in columns:
        needed = _width(grid, lines, column) + GAP
        if band and used + needed - GAP > width:
            yield band
            band, used = [], 0
        band.append(column)
        used += needed
    yield band


def _width(grid: FailedGrid, lines: Sequence[GridLine], column: int) -> int:
    return max(len(grid.commands[column]), *(len(_piece(line.verdicts[column]).text) for line in lines))


def _last_names(names: Sequence[str]) -> str:
    """The names that stand in the line of the verdicts: as many as fit there, and at least the last."""
    count = 1
    while count < len(names) and len(", ".join(names[-count - 1 :])) <= NAMES:
        count += 1
    return ", ".join(names[-count:])


def _names_above(names: Sequence[str], width: int) -> Iterator[str]:
    """The other names, in lines of their own that end with a comma, as in the file."""
    others = ", ".join(names)[: -len(_last_names(names))].rstrip()
    yield from textwrap.wrap(others, width, break_long_words=False, break_on_hyphens=False)
