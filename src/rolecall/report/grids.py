"""A grid with its wrong cells marked, as text for the terminal: only the lines that have one."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from rolecall.report.failures import FailedGrid, FailureGroup, GridLine, GridVerdict

GAP = 3  # spaces between columns
GUTTER = 5  # characters of the line numbers
NAMES = 24  # characters of the names in a line; a longer name has a longer line
TITLE = 12  # characters of a line of a title, if the titles do not fit beside each other
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
    for band in _bands(grid, shown, width - GUTTER - names):
        columns, widths = list(band), list(band.values())
        for title in _titles([grid.commands[column] for column in columns], widths):
            yield [Piece(" " * (GUTTER + names) + title)]
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


def _bands(grid: FailedGrid, lines: Sequence[GridLine], width: int) -> Iterator[dict[int, int]]:
    """The columns that stand beside each other, with their widths: all, if they fit; if not, with titles of many lines.

    If they still do not fit, only those with a wrong cell are left, in turn.
    """
    for limit in (None, TITLE):
        widths = {column: _width(grid, lines, column, limit) for column in range(len(grid.commands))}
        if sum(widths.values()) + GAP * (len(widths) - 1) <= width:
            yield widths
            return
    band: dict[int, int] = {}
    for column, size in widths.items():
        if not any(line.verdicts[column].kind for line in lines):
            continue
        if band and sum(band.values()) + GAP * len(band) + size > width:
            yield band
            band = {}
        band[column] = size
    yield band


def _width(grid: FailedGrid, lines: Sequence[GridLine], column: int, limit: int | None) -> int:
    """The width of a column. ``limit`` is that of its title, if its words are not longer."""
    title = grid.commands[column]
    words = _parts(title, limit) if limit else [title]
    return max(map(len, [*words, *(_piece(line.verdicts[column]).text for line in lines)]))


def _titles(titles: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """The lines of the titles. A short one is in the last of them."""
    parts = [_parts(title, width) for title, width in zip(titles, widths, strict=True)]
    count = max(map(len, parts))
    for line in zip(*([""] * (count - len(each)) + each for each in parts), strict=True):
        yield (" " * GAP).join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()


def _parts(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _last_names(names: Sequence[str]) -> str:
    """The names that stand in the line of the verdicts: as many as fit there, and at least the last."""
    count = 1
    while count < len(names) and len(", ".join(names[-count - 1 :])) <= NAMES:
        count += 1
    return ", ".join(names[-count:])


def _names_above(names: Sequence[str], width: int) -> Iterator[str]:
    """The other names, in lines of their own that end with a comma, as in the file."""
    others = ", ".join(names)[: -len(_last_names(names))].rstrip()
    yield from _parts(others, width)
