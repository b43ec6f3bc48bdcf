"""Reads the text of a grid, line by line.

The text has a line of commands. Then each row of the world has its name and a line for each persona::

                            select   insert   update   delete   give to another
    alice's note
      alice                 yes      yes      yes      yes      !
      bob, carol            -        !        -        -        -

A list of names that ends with a comma continues in the next line. ``everyone else`` is a line of its own: all personas
of the world that no other line below the heading names.
``yes``: the row was read or written. ``-``: no error and no row. ``!``: refused (42501). A SQLSTATE such as ``P0001``:
the command fails with it.
Each write runs in three ways, as clients send it. Inserts: plain, with RETURNING, and as an upsert. Updates and
deletes: with a WHERE, blind (they read no column), and with both a WHERE and RETURNING. If the first two verdicts
differ, the cell has both: ``-/yes``. It has the third too if it is not that of the other way that reads the row:
``yes/yes/!``. A question mark after a verdict (``yes?``, ``yes/!?``): it was observed, and nobody has decided whether
it is right. In a select, ``!/yes`` also means: the table is refused, but single columns are granted and can be read.
"""

from __future__ import annotations

import linecache
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, repeat
from pathlib import Path
from typing import NoReturn

from rolecall.errors import GridError
from rolecall.grids.verdicts import VERDICTS, is_no_name, is_verdict

EVERYONE_ELSE = "everyone else"
NO_CELL = "the grid has no cell: write the commands, the name of a row, and a line for each persona."


@dataclass(frozen=True)
class Line:
    """Personas below the heading of a row, and their verdicts, one for each command.

    ``number`` counts in the file, from 1. ``first`` and ``last`` count in the text, from 0: a list may have many lines.
    """

    row: str
    personas: tuple[str, ...]
    verdicts: tuple[str, ...]
    number: int
    first: int
    last: int


class Reader:
    """Reads a grid: the commands, then a heading for each row, then its personas.

    ``headings`` are the rows, each with the number of its line in the file, and ``heading_lines`` with that in the
    text. ``header`` is the line of the commands in the text.
    """

    def __init__(self, path: Path, line: int, allowed: Sequence[str]) -> None:
        """``line`` is the line of the call, ``allowed`` are the commands: each needs a column."""
        self.path, self.line, self.allowed = path, line, allowed
        self.commands: list[str] = []
        self.header = 0
        self.headings: dict[str, int] = {}
        self.heading_lines: dict[str, int] = {}
        self.lines: list[Line] = []
        self._pairs: set[tuple[str, str]] = set()  # row and persona
        self._pending: list[tuple[int, str]] = []  # lines with names of a list that continues in the next line

    def read_all(self, text: str) -> None:
        """Read a whole grid. Raises GridError."""
        lines = textwrap.dedent(text).split("\n")
        numbers = _numbers_of(text, str(self.path), self.line)
        for index, (line, number) in enumerate(zip(lines, numbers, strict=False)):
            self._read(line, number, index)
        if not self.commands:
            self.fail(self.line, NO_CELL)

    def _read(self, line: str, number: int, index: int) -> None:
        if not line.strip() or line.lstrip().startswith("#"):
            return
        if not self.commands:
            self._read_commands(line, number)
            self.header = index
        elif line.rstrip().endswith(","):
            self._pending.append((index, line))
        elif line[0].isspace():
            self._pending.append((index, line))
            self._read_personas(number)
            self._pending = []
        elif line.strip() in self.headings:
            self.fail(number, f"{line.strip()!r} already has a heading, in line {self.headings[line.strip()]}.")
        else:
            self.headings[line.strip()] = number
            self.heading_lines[line.strip()] = index

    def require_lines(self) -> None:
        """Raises GridError if the text has no row, or a row without a persona."""
        if not self.lines:
            self.fail(self.line, NO_CELL)
        with_lines = {line.row for line in self.lines}
        for row, number in self.headings.items():
            if row not in with_lines:
                self.fail(number, f"{row!r} has no line: add one for each persona.")

    def _read_commands(self, line: str, number: int) -> None:
        self.commands = commands_of(line)
        if unknown := [command for command in self.commands if command not in self.allowed]:
            for each in unknown:
                if {*each.split()} <= {*self.allowed}:
                    self.fail(number, f"{each!r} is one name: write at least two spaces between two commands.")
            self.fail(number, f"unknown command {names(unknown)}: use {names(self.allowed)}, or declare a move.")
        if missing := [command for command in self.allowed if command not in self.commands]:
            self.fail(number, f"no column for {names(missing)}: every command needs one.")
        if len(set(self.commands)) < len(self.commands):
            self.fail(number, "a command has two columns: remove one.")

    def _read_personas(self, number: int) -> None:
        """Read the pending lines, of which the last has the verdicts."""
        line = "".join(text for _, text in self._pending)
        words, count = line.split(), len(self.commands)
        verdicts = words[-count:]
        if not self.headings:
            self.fail(number, "a persona before the first row: write the name of the row above, without indentation.")
        if len(words) <= count or not all(map(is_verdict, verdicts)) or is_no_name(words[-count - 1]):
            self.fail(number, f"expected names, then {count} verdicts ({', '.join(VERDICTS)}): {line.strip()!r}.")
        row = next(reversed(self.headings))
        personas = re.split(r",\s*", " ".join(words[:-count]))
        for persona in personas:
            if (row, persona) in self._pairs:
                self.fail(number, f"{persona!r} already has a line under {row!r}.")
            self._pairs.add((row, persona))
        if EVERYONE_ELSE in personas and len(personas) > 1:
            text = f"{EVERYONE_ELSE!r} stands for all personas that no other line names: give it a line of its own."
            self.fail(number, text)
        self.lines.append(
            Line(row, tuple(personas), tuple(verdicts), number, self._pending[0][0], self._pending[-1][0])
        )

    def fail(self, line: int, text: str) -> NoReturn:
        """Raise a GridError about a line of the file."""
        fail(self.path, line, text)


def commands_of(text: str) -> list[str]:
    """The commands in the first line of a text that is not blank and no comment: none without one."""
    for line in map(str.strip, text.split("\n")):
        if line and not line.startswith("#"):
            return re.split(r"\s{2,}", line)
    return []


def fail(path: Path, line: int, text: str) -> NoReturn:
    """Raise a GridError of one line: the names in it may have line breaks."""
    raise GridError(f"{path}:{line}: {' '.join(text.splitlines())}")


def names(words: Iterable[str]) -> str:
    """Names in an error."""
    return ", ".join(map(repr, words)) or "nothing"


def _numbers_of(text: str, filename: str, call: int) -> Iterator[int]:
    """The line numbers of the text in its file. A text that was built at run time has the line of the call."""
    source = "".join(linecache.getlines(filename)[call - 1 :])
    offset = source.find(text)
    return count(call + source[:offset].count("\n")) if offset >= 0 else repeat(call)
