"""An access grid: who may do what with which row, read from a table of text, expanded into cells.

The text has a line of commands, then for each row of the world its name and a line for each persona::

                            select   insert   update   delete   give to another
    alice's note
      alice                 yes      yes      yes      yes      !
      bob, carol            -        !        -        -        -

A list of names that ends with a comma goes on in the next line.
``yes``: it worked on the row. ``-``: no error, and nothing happened. ``!``: refused (42501).
Updates and deletes are tried twice: with a WHERE, and blind (reading no column). Inserts are tried twice: plain,
and with the new row asked for in return. Where the two ways differ, ``-/yes`` says so. ``!/yes`` in a select also
stands for a table that is refused, of which single columns are granted.
"""

from __future__ import annotations

import linecache
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import count, repeat
from pathlib import Path
from typing import Any, NoReturn

from psycopg import sql

from rolecall.access.persona import Method
from rolecall.access.world import Row, World, insert, literal
from rolecall.errors import GridError
from rolecall.grids.probe import Check, Outcome

COMMANDS = ("select", "insert", "update", "delete")
VERDICTS = ("yes", "-", "!")
MEANING = {"yes": "allowed", "-": "no error, no row", "!": "refused (42501)"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One persona, one command, one row: what is expected, and where in the file it is written."""

    row: str
    command: str
    persona: str
    expected: str
    line: int

    @property
    def id(self) -> str:
        return f"{self.row}-{self.command}-{self.persona}"

    @property
    def privilege(self) -> str:
        """The privilege that the command needs: a move is an update."""
        return self.command if self.command in COMMANDS else "update"


@dataclass(frozen=True, eq=False)  # one grid is as good as no other: the same text may stand twice
class Grid:
    """A grid as written; see :func:`grid`."""

    table: str
    cells: tuple[Cell, ...]
    commands: tuple[str, ...]
    rows: tuple[str, ...]
    update: str
    moves: Mapping[str, str]
    settings: Mapping[str, str]
    key: tuple[str, ...]
    path: Path
    line: int
    lines: Mapping[str, int] = field(repr=False)

    def validate(self, world: World) -> None:
        """Check the grid against the world. Raises GridError naming every row and persona that is
        missing, unknown, or in the wrong place."""
        there = world.rows.get(self.table, {})
        said: dict[str, set[str]] = {}
        for cell in self.cells:
            said.setdefault(cell.row, set()).add(cell.persona)
        for row in self.rows:
            if row not in there:
                self._fail(self.lines[row], f"the world has no row {row!r} in {self.table}; it has: {_names(there)}.")
        if missing := [row for row in there if row not in self.lines]:
            self._fail(self.line, f"no line for {_names(missing)}, which the world has in {self.table}.")
        for cell in self.cells:
            if cell.persona not in world.personas:
                self._fail(cell.line, f"nobody is called {cell.persona!r}; there are: {_names(world.personas)}.")
        for row in self.rows:
            if missing := [name for name in world.personas if name not in said[row]]:
                self._fail(self.lines[row], f"{row!r} says nothing of {_names(missing)}: give each a line.")
        self._check_keys(there)

    def _check_keys(self, rows: Mapping[str, Row]) -> None:
        """Each row must be told from every other by its key: a check of one would act on the other too."""
        others: dict[str, str] = {}
        for name in self.rows:
            if missing := [column for column in self.key if column not in rows[name]]:
                text = f"{name!r} has no {_names(missing)} in the world, and the grid tells rows apart by it"
                self._fail(self.lines[name], f"{text}: add it, or name columns that every row has in key=.")
        for name, row in rows.items():
            key = _condition({column: row.get(column) for column in self.key})
            if key in others:
                text = f"{others[key]!r} and {name!r} have the same key ({key})"
                self._fail(self.line, f"{text}: name columns in key= that tell all rows apart.")
            others[key] = name

    def checks(self, cell: Cell, world: World) -> list[Check]:
        """The statements that a cell stands for: one, or two for a write of a row that is there."""
        return _Statements(self, world).of(cell)

    def all_checks(self, world: World) -> Iterator[tuple[Cell, Check]]:
        """Those of every cell, in their order."""
        statements = _Statements(self, world)
        return ((cell, check) for cell in self.cells for check in statements.of(cell))

    def _fail(self, line: int, text: str) -> NoReturn:
        _fail(self.path, line, text)


class _Statements:
    """Puts together what cells stand for; what many of them share, once."""

    def __init__(self, grid: Grid, world: World) -> None:
        self.grid, self.world = grid, world
        self.name = sql.Identifier(*grid.table.split(".")).as_string()
        self.condition = cache(self._condition)
        self.before = cache(self._before)
        self.insert = cache(lambda row: insert(grid.table, world.row(grid.table, row)).as_string())
        self.assignment = cache(lambda command: fill(grid.moves.get(command, grid.update), world))

    def of(self, cell: Cell) -> list[Check]:
        """A cell's checks."""
        condition = self.condition(cell.row)
        check = partial(
            Check,
            persona=self.world.personas[cell.persona],
            target=self.name,
            condition=condition,
            before=self.before(cell.persona),
        )
        if cell.command == "select":
            statement = f"SELECT * FROM {self.name} WHERE {condition}"
            return [check(method="GET", statement=statement, columns=True)]
        if cell.command == "insert":
            statement = self.insert(cell.row)
            return [
                check(method="POST", statement=statement),
                check(method="POST", statement=f"{statement} RETURNING *", representation=True),
            ]
        method: Method = "DELETE" if cell.command == "delete" else "PATCH"
        write = f"DELETE FROM {self.name}"
        if method == "PATCH":
            write = f"UPDATE {self.name} SET {self.assignment(cell.command)}"
        return [
            check(method=method, statement=f"{write} WHERE {condition}"),
            check(method=method, statement=write, blind=True, columns=cell.command == "update"),
        ]

    def _condition(self, row: str) -> str:
        columns = self.world.row(self.grid.table, row)
        return _condition({column: columns[column] for column in self.grid.key})

    def _before(self, persona: str) -> tuple[str, ...]:
        settings = self.grid.settings.items()
        before = [f"SELECT set_config({_text(name)}, {_text(to)}, true)" for name, to in settings]
        setup = self.world.personas[persona].prepare(self.grid.table)
        return (*before, *([setup] if setup else []))


def _condition(key: Mapping[str, Any]) -> str:
    """The condition that selects the row with these values."""
    terms = [
        sql.SQL("{} IS NULL").format(sql.Identifier(column))
        if value is None
        else sql.SQL("{} = {}").format(sql.Identifier(column), literal(value))
        for column, value in key.items()
    ]
    return sql.SQL(" AND ").join(terms).as_string()


def fill(text: str, world: World) -> str:
    """SQL text with ``{name}`` replaced by the literal that the world knows by that name."""
    literals = {name: literal(value) for name, value in world.names().items()}
    try:
        return sql.SQL(text).format(**literals).as_string()
    except KeyError as error:
        raise GridError(f"{text!r}: the world knows no name {error}; it has: {_names(literals)}.") from None
    except (ValueError, IndexError) as error:
        raise GridError(f"{text!r}: {error}: write {{name}} for a value of the world, and {{{{ for a brace.") from None


def verdict(outcomes: Iterable[Outcome]) -> str:
    """The verdict of a cell's outcomes: one word where all ways agree, ``-/yes`` where they do not,
    ``error`` where a statement failed for any other reason than a refusal."""
    return "/".join(dict.fromkeys(word for outcome in outcomes for word in outcome.words))


def grid(
    table: str,
    text: str,
    *,
    update: str,
    moves: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
    key: str | Sequence[str] = "id",
) -> Grid:
    """Read a grid. Assigned to a name of a test module, every cell of it becomes a test.

    :param table: ``schema.name``
    :param text: the grid, as this module's docstring shows
    :param update: what ``update`` sets: harmless, reading no column, e.g. ``notes = 'changed'``
    :param moves: further commands, each an UPDATE that tries to give the row away, by name;
        ``{alice}`` stands for a persona's subject, or for a name of the world
    :param settings: session settings made before each statement
    :param key: the column, or columns, that tell every row of the table from all others
    :raises GridError: with file and line, for a grid that cannot be read
    """
    caller = sys._getframe(1)  # inspect.stack() reads the source of every frame: 20 ms
    path, call, moves = Path(caller.f_code.co_filename), caller.f_lineno, dict(moves or {})
    reader = _Reader(path, call, (*COMMANDS, *moves))
    lines = textwrap.dedent(text).split("\n")
    for line, number in zip(lines, _numbers_of(text, str(path), call), strict=False):
        reader.read(line, number)
    reader.finish()
    return Grid(
        table,
        tuple(reader.cells),
        tuple(reader.commands),
        tuple(reader.lines),
        update,
        moves,
        dict(settings or {}),
        (key,) if isinstance(key, str) else tuple(key),
        path,
        call,
        reader.lines,
    )


class _Reader:
    """Reads a grid line by line: the commands, then a heading for each row and its personas."""

    def __init__(self, path: Path, line: int, known: tuple[str, ...]) -> None:
        self.path, self.line, self.known = path, line, known
        self.commands: list[str] = []
        self.lines: dict[str, int] = {}
        self.cells: list[Cell] = []
        self.said: set[tuple[str, str]] = set()  # row and persona
        self.begun = ""  # names of a list that goes on in the next line

    def read(self, line: str, number: int) -> None:
        if not line.strip() or line.lstrip().startswith("#"):
            return
        if not self.commands:
            self._read_commands(line, number)
        elif line.rstrip().endswith(","):
            self.begun += line
        elif line[0].isspace():
            self._read_persona(self.begun + line, number)
            self.begun = ""
        elif line.strip() in self.lines:
            self._fail(number, f"{line.strip()!r} has a heading already, in line {self.lines[line.strip()]}.")
        else:
            self.lines[line.strip()] = number

    def finish(self) -> None:
        if not self.cells:
            self._fail(self.line, "the grid has no cell: write commands, a row's name, and a line for each persona.")
        with_lines = {row for row, _ in self.said}
        for row, number in self.lines.items():
            if row not in with_lines:
                self._fail(number, f"{row!r} has no line for anybody.")

    def _read_commands(self, line: str, number: int) -> None:
        self.commands = re.split(r"\s{2,}", line.strip())
        if unknown := [command for command in self.commands if command not in self.known]:
            self._fail(number, f"unknown command {_names(unknown)}: use {_names(self.known)}, or declare a move.")
        if missing := [command for command in self.known if command not in self.commands]:
            self._fail(number, f"no column for {_names(missing)}: what is not declared is not tested.")
        if len(set(self.commands)) < len(self.commands):
            self._fail(number, "a command stands twice.")

    def _read_persona(self, line: str, number: int) -> None:
        words, count = line.split(), len(self.commands)
        verdicts = words[-count:]
        if not self.lines:
            self._fail(number, "personas before the first row's name: begin with a heading at the margin.")
        if len(words) <= count or not all(map(_is_verdict, verdicts)) or _is_verdict(words[-count - 1]):
            self._fail(number, f"expected names, then {count} verdicts ({', '.join(VERDICTS)}): {line.strip()!r}.")
        row = next(reversed(self.lines))
        for persona in re.split(r",\s*", " ".join(words[:-count])):
            if (row, persona) in self.said:
                self._fail(number, f"{persona!r} has a line under {row!r} already.")
            self.said.add((row, persona))
            cells = zip(self.commands, verdicts, strict=True)
            self.cells += [Cell(row, command, persona, word, number) for command, word in cells]

    def _fail(self, line: int, text: str) -> NoReturn:
        _fail(self.path, line, text)


def _fail(path: Path, line: int, text: str) -> NoReturn:
    """Raise a GridError of one line, whatever the names in it have."""
    raise GridError(f"{path}:{line}: {' '.join(text.splitlines())}")


def _is_verdict(word: str) -> bool:
    parts = word.split("/")
    return all(part in VERDICTS for part in parts) and len(set(parts)) == len(parts)


def _numbers_of(text: str, filename: str, call: int) -> Iterator[int]:
    """The lines of the file on which those of the text stand; where it was put together, that of the call."""
    behind = "".join(linecache.getlines(filename)[call - 1 :])
    found = behind.find(text)
    return count(call + behind[:found].count("\n")) if found >= 0 else repeat(call)


def _names(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "nothing"


def _text(value: str) -> str:
    return sql.Literal(value).as_string()
