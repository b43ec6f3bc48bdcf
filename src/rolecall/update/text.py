"""Writes observed verdicts into the text of a grid. The rest of the text stays as it is.

Lines that have the same verdicts for several personas are split where one differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rolecall.errors import GridError
from rolecall.grids.reader import EVERYONE_ELSE, Line, Reader, commands_of
from rolecall.grids.verdicts import UNDECIDED
from rolecall.update.columns import GAP, Columns
from rolecall.update.source import LeftAloneError

Pair = tuple[str, str]  # row and persona
Words = tuple[str, ...]  # a verdict for each command, as they are written


class GridText:
    """The text of a grid. ``personas`` are all of the world."""

    def __init__(self, text: str, personas: Sequence[str]) -> None:
        self.personas, self.commands = personas, commands_of(text)
        self.lines = text.split("\n")
        self.reader = _read(text)
        # What takes the place of each line of the text.
        self._out: list[list[str | Columns]] = [[line] for line in self.lines]
        self._header = Columns.of(self.lines[self.reader.header], self.commands)
        self._out[self.reader.header] = [self._header]
        for line in self.reader.lines:
            self._out[line.last] = [Columns.of(self.lines[line.last], line.verdicts)]

    def rewritten(self, observed: Mapping[Pair, Mapping[str, str]]) -> str:
        """The text with these verdicts, by row, persona and command; each gets a question mark.

        A row or a persona that the grid lacks gets lines, and needs a verdict for each command.
        Raises LeftAloneError if a name cannot be written in a grid.
        """
        wanted = _words(self.reader, self.personas)
        for pair, verdicts in observed.items():
            words = wanted.get(pair, ("",) * len(self.commands))
            wanted[pair] = tuple(
                verdicts[command] + UNDECIDED if command in verdicts else word
                for command, word in zip(self.commands, words, strict=True)
            )
        known = {(line.row, name) for line in self.reader.lines for name in self._names(line)}
        for line in self.reader.lines:
            self._edit(line, {name: wanted[line.row, name] for name in self._names(line)})
        for row in dict.fromkeys(row for row, _ in wanted):
            self._add(
                row, {name: words for (of, name), words in wanted.items() if of == row and (row, name) not in known}
            )
        text = self._render()
        found = _words(_read(text), self.personas)
        if found != wanted:
            kept = {name for key, words in wanted.items() if found.get(key) == words for name in key}
            lost = sorted({name for key in wanted for name in key} - kept)
            raise LeftAloneError(f"a name in it cannot be written in a grid: {', '.join(map(repr, lost))}")
        return text

    def _names(self, line: Line) -> Sequence[str]:
        """The personas of a line: all that it stands for."""
        return _covered(self.reader, line, self.personas)

    def _edit(self, line: Line, words: Mapping[str, Words]) -> None:
        """Give each persona of a line its words. Those with the most usual words keep the line, the others get one."""
        groups = _groups(words)
        staying = line.verdicts if line.verdicts in groups else max(groups, key=lambda each: len(groups[each]))
        (columns,) = self._out[line.last]
        assert isinstance(columns, Columns)
        others = [each for group in groups if group != staying for each in self._rows(groups[group], group, columns)]
        if not others or line.personas == (EVERYONE_ELSE,):
            self._out[line.last] = [*others, columns.with_words(staying)]
            return
        for number in range(line.first, line.last):
            if not self.lines[number].lstrip().startswith("#"):
                self._out[number] = []
        self._out[line.last] = [*self._rows(groups[staying], staying, columns), *others]

    def _add(self, row: str, words: Mapping[str, Words]) -> None:
        """Add lines to a row: below its last one, or at the end of the text with a heading."""
        if not words:
            return
        own = [line.last for line in self.reader.lines if line.row == row]
        last = max([line.last for line in self.reader.lines], default=None)
        template = self._out[own[-1] if own else last][-1] if last is not None else self._header
        assert isinstance(template, Columns)
        rows = [each for group, names in _groups(words).items() for each in self._rows(names, group, template)]
        if own or row in self.reader.headings:
            self._out[own[-1] if own else self.reader.heading_lines[row]] += rows
            return
        self._out[self._end] += [*self._blank(), f"{self._margin}{row}", *rows]

    def _rows(self, names: Sequence[str], words: Words, template: Columns) -> Iterator[str | Columns]:
        """Lines for personas with equal words: a list of names that is too long continues in the next line."""
        before = template.pieces[0]
        indentation = before[: len(before) - len(before.lstrip())] if before else f"{self._margin}  "
        *first, last = _wrapped(names, indentation, template.end, template.starts[0] - GAP)
        return iter([*first, template.new(last, words)])

    @property
    def _end(self) -> int:
        """The last line that is not blank."""
        return max(number for number, line in enumerate(self.lines) if line.strip())

    @property
    def _margin(self) -> str:
        """The indentation of headings."""
        if self.reader.heading_lines:
            line = self.lines[next(iter(self.reader.heading_lines.values()))]
        else:
            line = min(self.lines[-1], self.lines[self.reader.header], key=_indentation)
        return line[: _indentation(line)]

    def _blank(self) -> list[str]:
        """A blank line above a new heading, if the last heading has one. The first heading has none."""
        numbers = list(self.reader.heading_lines.values())
        if len(numbers) > 1:
            return [""] if not self.lines[numbers[-1] - 1].strip() else []
        return [""] if numbers or len(self._out[self._end]) > 1 else []

    def _render(self) -> str:
        """All lines. Those with columns in the same places get more spaces together, and stay aligned."""
        lines = [line for part in self._out for line in part]
        more: dict[tuple[int, ...], list[int]] = {}
        for line in lines:
            if isinstance(line, Columns):
                others = more.get(line.starts, line.lacking)
                more[line.starts] = list(map(max, others, line.lacking))
        return "\n".join(line.render(more[line.starts]) if isinstance(line, Columns) else line for line in lines)


def _read(text: str) -> Reader:
    reader = Reader(Path("grid"), 1, commands_of(text))
    try:
        reader.read_all(text)
    except GridError as error:  # of the text with the new names
        raise LeftAloneError(f"a name in it cannot be written in a grid ({error})") from None
    return reader


def _words(reader: Reader, personas: Sequence[str]) -> dict[Pair, Words]:
    return {(line.row, name): line.verdicts for line in reader.lines for name in _covered(reader, line, personas)}


def _covered(reader: Reader, line: Line, personas: Sequence[str]) -> Sequence[str]:
    if line.personas != (EVERYONE_ELSE,):
        return line.personas
    named = {name for other in reader.lines if other.row == line.row for name in other.personas}
    return [name for name in personas if name not in named]


def _groups(words: Mapping[str, Words]) -> dict[Words, list[str]]:
    groups: dict[Words, list[str]] = {}
    for name, each in words.items():
        groups.setdefault(each, []).append(name)
    return groups


def _wrapped(names: Sequence[str], indentation: str, width: int, last_width: int) -> list[str]:
    """A list of names in lines of ``width``. The last line, which also has the verdicts, is ``last_width`` wide."""
    last = next(
        (number for number in range(len(names)) if len(indentation + ", ".join(names[number:])) <= last_width),
        len(names) - 1,
    )
    lines: list[str] = []
    for name in names[:last]:
        if lines and len(f"{lines[-1]} {name},") <= width:
            lines[-1] += f" {name},"
        else:
            lines.append(f"{indentation}{name},")
    return [*lines, indentation + ", ".join(names[last:])]


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())
