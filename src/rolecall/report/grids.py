"""A grid with its wrong cells marked, as text for the terminal: only the lines that have one."""

from __future__ import annotations

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
    return f"{len(grid.failures)} of {grid.cells} cells of {grid.table} are not as the grid says"


def grid_lines(grid: FailedGrid, width: int, most: int | None = None) -> Iterator[Pieces]:
    """The grid, in lines of at most ``width`` characters if the names allow it.

    It has the first ``most`` lines of the grid that have a wrong cell, and says how many others there are.
    """
    shown = grid.lines[:most]
    yield [Piece(f"{grid.file}:{grid.line}: "), *_legend(shown)]
    names = _width_of_names(shown)
    for columns in _bands(grid, shown, width - GUTTER - names):
        widths = [_width(grid, shown, column) for column in columns]
        titles = [grid.commands[column].ljust(size) for column, size in zip(columns, widths, strict=True)]
        yield [Piece(" " * (GUTTER + names) + (" " * GAP).join(titles).rstrip())]
        for row, lines in groupby(shown, key=lambda line: line.row):
            yield [Piece(f"{'':{GUTTER}}{row}")]
            for line in lines:
                yield from _line(line, names, columns, widths)
            if grid.others.get(row):
                yield [Piece(f"{'':{GUTTER}}  {_others(grid.others[row])}", RIGHT)]
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
    pieces = [_piece(first), Piece(f" says: the grid has {first.expected or 'no verdict'}, and it is {first.got}")]
    if any(not verdict.tried for verdict in verdicts):
        pieces.append(Piece(f"; {NOT_TRIED} was not tried"))
    return pieces


def _line(line: GridLine, names: int, columns: Sequence[int], widths: Sequence[int]) -> Iterator[Pieces]:
    """A line of the grid. Names that do not fit have lines of their own above it, as in the file."""
    *above, last = _wrapped(line.personas, names - GAP - 2)
    for text in above:
        yield [Piece(f"{'':{GUTTER}}  {text}")]
    pieces = [Piece(f"{line.line:{GUTTER - 1}} "), Piece(f"  {last}".ljust(names))]
    for column, width in zip(columns, widths, strict=True):
        piece = _piece(line.verdicts[column])
        pieces += [piece, Piece(" " * (width - len(piece.text) + GAP))]
    yield pieces[:-1]


def _piece(verdict: GridVerdict) -> Piece:
    if verdict.kind:
        return Piece(f"{verdict.expected or '?'}≠{verdict.got}", WORST if verdict.kind == "let in" else WRONG)
    return Piece(verdict.expected if verdict.tried else NOT_TRIED, RIGHT)


def _others(count: int) -> str:
    return f"and {count} {'persona' if count == 1 else 'personas'} without a wrong cell"


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


def _width_of_names(lines: Sequence[GridLine]) -> int:
    """The width of the names, with the spaces before and after them."""
    lists = [_wrapped(line.personas, NAMES) for line in lines]
    return 2 + max(len(text) for each in lists for text in each) + GAP


def _wrapped(names: Sequence[str], width: int) -> list[str]:
    """Names in lines of at most ``width`` characters, if they are not longer themselves."""
    lines = [""]
    for number, name in enumerate(names):
        text = f"{name}," if number + 1 < len(names) else name
        if lines[-1] and len(lines[-1]) + 1 + len(text) > width:
            lines.append(text)
        else:
            lines[-1] = f"{lines[-1]} {text}".strip()
    return lines
