"""An access grid: which persona may do what with which row. Its text is expanded into cells.

:mod:`rolecall.grids.reader` has the format of the text.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

from psycopg import sql

from rolecall.access.persona import Method
from rolecall.access.world import Row, World, insert, literal, matching
from rolecall.errors import GridError
from rolecall.grids import arguments
from rolecall.grids import decided_by as decisive
from rolecall.grids.decided_by import DecidedBy
from rolecall.grids.probe import Check
from rolecall.grids.reader import EVERYONE_ELSE, Reader, fail, names
from rolecall.grids.verdicts import UNDECIDED, shortest

COMMANDS = ("select", "insert", "update", "delete")


@dataclass(frozen=True, slots=True)
class Cell:
    """One persona, one command, one row: the expected verdict, and its line in the file.

    ``decided`` is False if the verdict has a question mark: it was observed. An empty verdict is still to be observed.
    """

    row: str
    command: str
    persona: str
    expected: str
    line: int
    decided: bool = True

    @property
    def id(self) -> str:
        return f"{self.row}-{self.command}-{self.persona}"

    @property
    def privilege(self) -> str:
        """The privilege that the command needs: a move is an update."""
        return self.command if self.command in COMMANDS else "update"


@dataclass(frozen=True, eq=False)  # compared by identity: two grids may have equal text
class Grid:
    """A grid as it is written; see :func:`grid`."""

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
    before: Mapping[int, tuple[Cell, ...]] = field(default_factory=dict, repr=False)
    from_phase: int = 1
    decided_by: DecidedBy | None = None
    changes: Mapping[str, Mapping[str, Any]] | None = None

    def after(self, phase: int) -> Grid:
        """The grid as it is after an earlier phase: with the cells of each ``before`` of a later one."""
        differing: dict[str, Cell] = {}
        for number in sorted(self.before, reverse=True):  # the next phase has the last word
            if number > phase:
                differing |= {cell.id: cell for cell in self.before[number]}
        return replace(self, cells=tuple(differing.get(cell.id, cell) for cell in self.cells))

    def expanded(self, world: World) -> Grid:
        """The grid with a cell for each persona that ``everyone else`` stands for: itself, if it has no such line.

        Raises GridError for a line that stands for no persona, and for a ``before`` that does not fit the grid.
        """
        if EVERYONE_ELSE in world.personas:
            self._fail(self.line, f"the world has a persona {EVERYONE_ELSE!r}, which a grid cannot name: rename it.")
        written = {number: self._by_line(cells, world) for number, cells in self.before.items()}
        grid = self
        if any(cell.persona == EVERYONE_ELSE for cells in (self.cells, *self.before.values()) for cell in cells):
            before = {number: tuple(chain(*lines.values())) for number, lines in written.items()}
            grid = replace(self, cells=tuple(chain(*self._by_line(self.cells, world).values())), before=before)
        for lines in written.values():
            grid._check_before(lines)
        return grid

    def _by_line(self, cells: Iterable[Cell], world: World) -> dict[tuple[str, str], list[Cell]]:
        """The cells of each persona, by row and by the name that is written: it may be ``everyone else``."""
        lines: dict[tuple[str, str], list[Cell]] = {}
        for cell in cells:
            lines.setdefault((cell.row, cell.persona), []).append(cell)
        for row, persona in lines:
            if persona == EVERYONE_ELSE:
                others = [name for name in world.personas if (row, name) not in lines]
                line = lines[row, persona]
                if not others:
                    text = f"{EVERYONE_ELSE!r} stands for nobody: every persona of the world has a line under {row!r}"
                    self._fail(line[0].line, f"{text}. Remove this line.")
                lines[row, persona] = [replace(cell, persona=name) for name in others for cell in line]
        return lines

    def _check_before(self, lines: Mapping[tuple[str, str], Sequence[Cell]]) -> None:
        """Check that each line of a ``before`` is about cells of the grid, and that one of them differs."""
        expected = {cell.id: cell.expected for cell in self.cells}
        for (row, written), cells in lines.items():
            for cell in cells:
                if cell.id not in expected:
                    self._fail(cell.line, f"the grid itself has no line for {cell.persona!r} under {row!r}.")
            if all(cell.expected == expected[cell.id] for cell in cells):
                self._fail(cells[0].line, f"{written!r} has the same verdicts as in the grid itself: remove it here.")

    def completed(self, world: World) -> Grid:
        """The grid with a cell, which has no verdict yet, for each row and persona of the world that it lacks."""
        headings = dict(self.lines) | {
            row: self.line for row in world.rows.get(self.table, {}) if row not in self.lines
        }
        known = {(cell.row, cell.persona) for cell in self.cells}
        missing = [
            Cell(row, command, persona, "", line, decided=False)
            for row, line in headings.items()
            for persona in world.personas
            if (row, persona) not in known
            for command in self.commands
        ]
        return replace(self, cells=(*self.cells, *missing), rows=tuple(headings), lines=headings) if missing else self

    def validate(self, world: World) -> None:
        """Check the grid against the world. Raises GridError with the rows or personas that are missing or unknown."""
        if not self.cells:
            text = "the grid has no cell: write the name of a row, and a line for each persona"
            self._fail(self.line, f"{text}, or let --rolecall-update do it.")
        rows = world.rows.get(self.table, {})
        personas: dict[str, set[str]] = {}
        for cell in self.cells:
            personas.setdefault(cell.row, set()).add(cell.persona)
        self._check_rows(rows)
        for cell in self.cells:
            if cell.persona not in world.personas:
                self._fail(cell.line, f"unknown persona {cell.persona!r}: the world has {names(world.personas)}.")
        for row in self.rows:
            if missing := [name for name in world.personas if name not in personas.get(row, ())]:
                advice = f"add one for each, or one for {EVERYONE_ELSE!r}, or let --rolecall-update do it"
                self._fail(self.lines[row], f"{row!r} has no line for {names(missing)}: {advice}.")
        self._check_keys(rows)
        if unknown := [each for each in self.changes or {} if each == "select" or each not in self.commands]:
            self._fail(self.line, f"changes= has {names(unknown)}: name commands of the grid that write.")

    def validate_phases(self, phases: Collection[int]) -> None:
        """Check that the phases of ``from_phase`` and ``before`` exist. Raises GridError."""
        if self.from_phase != 1 and self.from_phase not in phases:
            self._fail(self.line, f"from_phase={self.from_phase!r}: there is no phase {self.from_phase!r}.")
        for number in self.before:
            if number not in phases:
                self._fail(self.line, f"before={{{number}: …}}: there is no phase {number}.")

    def _check_rows(self, rows: Mapping[str, Row]) -> None:
        """Check that the grid has a heading for each row of the world, and no other."""
        for row in self.rows:
            if row not in rows:
                self._fail(self.lines[row], f"the world has no row {row!r} in {self.table}; it has: {names(rows)}.")
        if missing := [row for row in rows if row not in self.lines]:
            text = f"no heading for {names(missing)}, which the world has in {self.table}"
            self._fail(self.line, f"{text}: add one for each, or let --rolecall-update do it.")

    def _check_keys(self, rows: Mapping[str, Row]) -> None:
        """Check that every key is unique: otherwise a check of one row would also act on another."""
        others: dict[str, str] = {}
        for name in self.rows:
            if missing := [column for column in self.key if column not in rows[name]]:
                text = f"{name!r} has no {names(missing)} in the world, which is the key of the grid"
                self._fail(self.lines[name], f"{text}: add it, or set key= to columns that every row has.")
        for name, row in rows.items():
            key = matching({column: row.get(column) for column in self.key})
            if key in others:
                text = f"{others[key]!r} and {name!r} have the same key ({key})"
                self._fail(self.line, f"{text}: set key= to columns that are unique together.")
            others[key] = name

    def checks(self, cell: Cell, world: World) -> list[Check]:
        """The checks of a cell: one for a select, three for a write."""
        return list(_Statements(self, world).of(cell))

    def all_checks(self, world: World) -> Iterator[tuple[Cell, Check]]:
        """The checks of every cell, in order, without those of rows that the database does not have."""
        statements = _Statements(self, world)
        present = (cell for cell in self.cells if (self.table, cell.row) not in world.missing)
        return ((cell, check) for cell in present for check in statements.of(cell))

    def least_checks(self, world: World, *, blind: bool) -> Iterator[tuple[Cell, Check]]:
        """One check of every cell of :meth:`all_checks`: the one on which the fewest policies decide.

        ``blind``: updates and deletes may be blind, because the grid is one of a table.
        """
        statements = _Statements(self, world)
        for cell in self.cells:
            if (self.table, cell.row) not in world.missing:
                ways = statements.of(cell)
                check = next(ways)
                yield cell, next(ways) if blind and check.method in ("PATCH", "DELETE") else check

    def _fail(self, line: int, text: str) -> NoReturn:
        fail(self.path, line, text)


class _Statements:
    """Builds the statements of cells. The parts that cells share are built once."""

    def __init__(self, grid: Grid, world: World) -> None:
        self.grid, self.world = grid, world
        self.name = sql.Identifier(*grid.table.split(".", 1)).as_string()
        self.condition = cache(self._condition)
        self.before = cache(self._before)
        self.insert = cache(lambda row: insert(grid.table, world.insertable(grid.table, row)).as_string())
        self.new_values = cache(self._new_values)
        self.on_conflict = cache(self._on_conflict)
        self.assignment = cache(lambda command: fill(grid.moves.get(command, grid.update), world))

    def of(self, cell: Cell) -> Iterator[Check]:
        """A cell's checks. The second one of an update or delete is the blind one."""
        condition = self.condition(cell.row)
        check = partial(
            Check,
            persona=self.world.personas[cell.persona],
            target=self.name,
            condition=condition,
            before=self.before(cell.persona),
        )
        if cell.command == "select":
            yield check(method="GET", statement=f"SELECT * FROM {self.name} WHERE {condition}", columns=True)
        elif cell.command == "insert":
            statement = self.insert(cell.row)
            yield check(method="POST", statement=statement, columns=True, new_values=self.new_values(cell.row))
            yield check(method="POST", statement=f"{statement} RETURNING *", representation=True)
            yield check(method="POST", statement=f"{statement} {self.on_conflict(cell.row)}", upsert=True)
        else:
            method: Method = "DELETE" if cell.command == "delete" else "PATCH"
            write = f"DELETE FROM {self.name}"
            if method == "PATCH":
                write = f"UPDATE {self.name} SET {self.assignment(cell.command)}"
            yield check(method=method, statement=f"{write} WHERE {condition}")
            yield check(method=method, statement=write, blind=True, columns=cell.command == "update")
            yield check(method=method, statement=f"{write} WHERE {condition} RETURNING *", representation=True)

    def _condition(self, row: str) -> str:
        columns = self.world.row(self.grid.table, row)
        return matching({column: columns[column] for column in self.grid.key})

    def _new_values(self, row: str) -> dict[str, str]:
        """The literals of an insert, by column."""
        columns = self.world.insertable(self.grid.table, row)
        return {column: literal(value).as_string() for column, value in columns.items()}

    def _on_conflict(self, row: str) -> str:
        """The clause of an upsert, as PostgREST writes it: it sets every column of the row."""
        columns = [sql.Identifier(column) for column in self.world.insertable(self.grid.table, row)]
        key = sql.SQL(", ").join(map(sql.Identifier, self.grid.key))
        values = sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(column) for column in columns)
        return sql.SQL("ON CONFLICT ({}) DO UPDATE SET {}").format(key, values).as_string()

    def _before(self, persona: str) -> tuple[str, ...]:
        settings = self.grid.settings.items()
        before = [f"SELECT set_config({_text(name)}, {_text(value)}, true)" for name, value in settings]
        setup = self.world.personas[persona].prepare(self.grid.table)
        return (*before, *([setup] if setup else []))


BRACES = "a brace begins the name of a value of the world, as in {name}: write {{ and }} for braces of the SQL."


def fill(text: str, world: World) -> str:
    """SQL text in which ``{name}`` is replaced by a value of the world.

    Raises GridError for an unknown name, and for other braces.
    """
    literals = {name: literal(value) for name, value in world.names().items()}
    try:
        return sql.SQL(text).format(**literals).as_string()
    except KeyError as error:
        if '"' not in error.args[0]:  # as in JSON
            raise GridError(f"{text!r}: the world has no name {error}; it has: {names(literals)}.") from None
    except (ValueError, IndexError):
        pass
    raise GridError(f"{text!r}: {BRACES}")


def grid(
    table: str,
    text: str,
    *,
    update: str,
    moves: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
    key: str | Sequence[str] = "id",
    before: Mapping[int, str] | None = None,
    from_phase: int = 1,
    decided_by: Sequence[str] | None = None,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
) -> Grid:
    """Read a grid. If it is assigned to a name of a test module, every cell becomes a test.

    :param table: ``schema.name``
    :param text: the grid, in the format of :mod:`rolecall.grids.reader`
    :param update: the SET clause of ``update``: harmless, and without reading a column, e.g. ``notes = 'changed'``
    :param moves: more commands by name, each the SET clause of an UPDATE that gives the row away;
        ``{alice}`` stands for a persona's subject, or for an alias of the world
    :param settings: session settings to set before each statement
    :param key: the column or columns that identify a row of the table
    :param before: what differs before a phase is applied, by its number: a grid of the lines that differ, which
        begins with the reason as a comment (``#``)
    :param from_phase: the first phase after which the table exists
    :param decided_by: what decides about the access, besides the role and the subject; nothing else may. ``"column"``
        is one of the table, ``"schema.table.column"`` one of another table. ``"claim:app_metadata.tenant"``,
        ``"setting:app.tenant"`` and ``"header:x-tenant"`` belong to the request. ``"rows:schema.table"``: how many
        rows there are. Without ``decided_by``, nothing of this is tried
    :param changes: makes one more test: each write that is allowed changes its row and nothing else. The mapping has
        what triggers change besides: by command, columns and their new values. A value may be a type, or a function
        that says whether it is right; ``{}`` is nothing. For a ``delete``: the row stays, with these changes
    :raises GridError: with file and line, for a grid that cannot be read
    """
    given = dict(locals())
    caller = sys._getframe(1)  # inspect.stack() reads the source of every frame: 20 ms
    path, call = Path(caller.f_code.co_filename), caller.f_lineno
    arguments.check(partial(fail, path, call), given)
    moves = dict(moves or {})
    reader = Reader(path, call, (*COMMANDS, *moves))
    reader.read_all(text)
    return Grid(
        table,
        _cells(reader),
        tuple(reader.commands),
        tuple(reader.headings),
        update,
        moves,
        dict(settings or {}),
        (key,) if isinstance(key, str) else tuple(key),
        path,
        call,
        reader.headings,
        {number: _differing(reader, number, text) for number, text in (before or {}).items()},
        from_phase,
        None if decided_by is None else decisive.read(decided_by, table, partial(reader.fail, call)),
        changes,
    )


def _cells(reader: Reader) -> tuple[Cell, ...]:
    return tuple(
        Cell(
            row=line.row,
            command=command,
            persona=persona,
            expected=shortest(command, word.removesuffix(UNDECIDED)),
            line=line.number,
            decided=not word.endswith(UNDECIDED),
        )
        for line in reader.lines
        for persona in line.personas
        for command, word in zip(reader.commands, line.verdicts, strict=True)
    )


def _differing(whole: Reader, phase: int, text: str) -> tuple[Cell, ...]:
    """The cells that differ before a phase. ``whole`` has read the grid."""
    reader = Reader(whole.path, whole.line, whole.commands)
    reader.read_all(text)
    if not isinstance(phase, int) or phase < 2:
        reader.fail(whole.line, f"before={{{phase!r}: …}}: give the number of a phase after the first.")
    if not text.lstrip().startswith("#"):
        line = next(iter(reader.headings.values()))
        reader.fail(line, f"before={{{phase}: …}} has no reason: begin with a comment (#) that says why it differs.")
    reader.require_lines()
    cells = _cells(reader)
    for cell in cells:
        if not cell.decided:
            text = f"has {cell.expected + UNDECIDED!r}, which is not decided: remove the question mark."
            reader.fail(cell.line, f"before={{{phase}: …}} {text}")
    return cells


def _text(value: str) -> str:
    return sql.Literal(value).as_string()
