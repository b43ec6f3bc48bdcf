"""A line of a grid with a word in each column: its words may change, and its columns stay where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

GAP = 2  # spaces between two columns


@dataclass(frozen=True)
class Columns:
    """The pieces of a line: the names, with their indentation, and a word for each column.

    ``widths`` are the lengths of the pieces that the line had, ``gaps`` the spaces after each piece but the last, and
    ``tail`` what follows the last. ``least`` is how many spaces a gap must keep.
    """

    pieces: tuple[str, ...]
    widths: tuple[int, ...]
    gaps: tuple[str, ...]
    tail: str
    least: tuple[int, ...]

    @classmethod
    def of(cls, line: str, words: Sequence[str]) -> Columns:
        """A line as it is, which ends with ``words``."""
        tail = line[len(line.rstrip()) :]
        rest, pieces, gaps = line.rstrip(), list[str](), list[str]()
        for word in reversed(words):
            before = rest.removesuffix(word)
            rest = before.rstrip()
            pieces.insert(0, word)
            gaps.insert(0, before[len(rest) :])
        pieces.insert(0, rest)
        least = tuple(min(GAP, len(gap)) for gap in gaps)
        return cls(tuple(pieces), tuple(map(len, pieces)), tuple(gaps), tail, least)

    def with_words(self, words: Sequence[str]) -> Columns:
        """The line with other words, in the same columns."""
        return replace(self, pieces=(self.pieces[0], *words))

    def new(self, names: str, words: Sequence[str]) -> Columns:
        """Another line with the same columns."""
        spaces = tuple(" " * len(gap) for gap in self.gaps)
        return replace(self, pieces=(names, *words), gaps=spaces, tail="", least=(GAP,) * len(self.gaps))

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Where each column starts."""
        lengths = [width + len(gap) for width, gap in zip(self.widths, self.gaps, strict=False)]
        return tuple(accumulate(lengths))

    @property
    def end(self) -> int:
        """Where the last column ends."""
        return self.starts[-1] + self.widths[-1]

    @property
    def lacking(self) -> list[int]:
        """How many spaces each gap lacks, because the word before it has become longer."""
        return [max(0, least - self._length(number)) for number, least in enumerate(self.least)]

    def render(self, more: Sequence[int]) -> str:
        """The line, with ``more`` spaces in each gap."""
        text = self.pieces[0]
        for number, (gap, piece) in enumerate(zip(self.gaps, self.pieces[1:], strict=True)):
            length = self._length(number) + more[number]
            text += gap[:length].ljust(length) + piece
        return text + self.tail

    def _length(self, number: int) -> int:
        return len(self.gaps[number]) - len(self.pieces[number]) + self.widths[number]
