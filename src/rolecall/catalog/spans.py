"""Parts of SQL files, with the lines and columns where they begin and end."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from rolecall.sql.text import NEWLINE


class Position(NamedTuple):
    """A line and a column of a file, both counted from 1. A column is a character."""

    line: int
    column: int


@dataclass(frozen=True)
class Source:
    """An SQL file and its text. Of a part of a file, the rest is blank, so that the lines are those of the file."""

    path: Path
    text: str

    @cached_property
    def _lines(self) -> list[int]:
        return [0, *(newline.end() for newline in NEWLINE.finditer(self.text))]

    def position(self, offset: int) -> Position:
        """The line and the column of a character."""
        line = bisect_right(self._lines, offset)
        return Position(line, offset - self._lines[line - 1] + 1)


class Span(NamedTuple):
    """A part of a file: its offsets (``end`` is the first character after it), and the text of its statement."""

    source: Source
    start: int
    end: int
    text: str

    @property
    def begins(self) -> Position:
        """Where it begins."""
        return self.source.position(self.start)

    @property
    def ends(self) -> Position:
        """Where it ends: the column after its last character."""
        return self.source.position(self.end)

    def part(self, location: int) -> Span:
        """A part of the statement: from a location of the parser, in bytes, to the end of that line."""
        start = self.start + len(self.text.encode()[:location].decode(errors="ignore"))
        newline = NEWLINE.search(self.source.text, start, self.end)
        return self._replace(start=start, end=newline.start() if newline else self.end)
