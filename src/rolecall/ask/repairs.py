"""The shortest repair: known changes are tried, each in a transaction that is rolled back, until one is right.

A repair makes the asked cells what they should be. It may change another cell of a grid only from wrong to right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import psycopg
from psycopg import Connection

from rolecall.ask import grant_edits
from rolecall.ask.answer import Answer, Repair, Repairs
from rolecall.ask.edits import Edit, unique
from rolecall.ask.functions import explain_function, routines
from rolecall.ask.policy_edits import PolicyEdits
from rolecall.ask.project import Project, Tested
from rolecall.catalog.definitions import TYPES, Schema
from rolecall.catalog.dependents import dependents
from rolecall.catalog.objects import POLICIES, Policy
from rolecall.grids.grid import Cell, Grid
from rolecall.grids.outcomes import GridOutcomes
from rolecall.grids.verdicts import verdict
from rolecall.mutants.search import FirstFailure

MORE_WORDS = 8  # by which a repair may be longer than the shortest, if it leaves fewer wrong cells
MOST = 12  # repairs that are compared


def repairs_of_rows(project: Project, tested: Tested, cells: Sequence[Cell], *, has_error: bool) -> Repairs:
    """The shortest repair of cells of one grid, which differ from what they should be.

    First the table is changed, then the tables and functions that its policies use. It is the other way round if the
    cells end with an error (``has_error``), which often comes from a function.
    """
    search = _Search(project, tested, cells)
    kinds: list[Callable[[], list[Edit]]] = [
        lambda: _edits(project, tested.grid.table, cells[0]),
        lambda: _edits_of_used(project, tested.grid.table, cells[0]),
    ]
    found = Repairs(None, 0)
    for edits in reversed(kinds) if has_error else kinds:
        found = search.find(edits())
        if found.best:
            break
    return found


def repairs_of_function(project: Project, answers: Sequence[Answer]) -> Repairs:
    """The shortest repair of calls whose outcome differs from what the user expects."""
    first = answers[0]
    connection, world = project.connection, project.world
    name = next(each for each in project.names if _is_of(project, each, first.object))
    routine = next(each for each in routines(connection, name) if each.signature == first.object)
    roles = [each.role for each in world.personas.values()]
    arguments = first.attempts[0].statement.partition("(")[2].removesuffix(")")

    def verdicts() -> dict[str, str]:
        return {
            persona: next(each.verdict for each in explain_function(project, name, arguments, persona))
            for persona in world.personas
        }

    before = verdicts()
    search = _Search(project, None, [])
    edits, best = unique(grant_edits.of_function(connection, name, routine, first.role, roles)), []
    for edit in edits:
        with _applied(connection, edit) as applied:
            after = verdicts() if applied else {}
        if after.get(first.persona) == first.expected:
            also = [
                f"execute as {p}: {before[p]} becomes {after[p]}"
                for p in before
                if before[p] != after[p] and p != first.persona
            ]
            if search.broken_by(edit) is None:
                best.append(Repair(edit.sql, edit.words, edit.what, also=also))
    best.sort(key=lambda each: (len(each.also), each.words))
    return Repairs(best[0] if best else None, len(edits))


def _is_of(project: Project, name: str, signature: str) -> bool:
    return (
        any(each.signature == signature for each in routines(project.connection, name))
        if project.names[name] == "function"
        else False
    )


# -- the changes


def _schema(project: Project) -> Schema:
    """What the operators need to know: all policies, the types of columns, and the roles of the personas."""
    connection = project.connection
    with connection.transaction(force_rollback=True):
        connection.execute("SELECT set_config('search_path', '', true)")  # every name has its schema
        policies = [Policy(*row) for row in connection.execute(POLICIES.encode())]
        types: dict[str, dict[str, str]] = dict(connection.execute(TYPES.encode()).fetchall())
    roles = [persona.role for persona in project.world.personas.values()]
    return Schema(policies=policies, types=types, roles=list(dict.fromkeys(roles)))


def _edits(project: Project, table: str, cell: Cell) -> list[Edit]:
    """The changes of a table or view, and of the tables that a view reads."""
    connection, role = project.connection, project.world.personas[cell.persona].role
    relation = project.relation(table)
    schema = _schema(project)
    found = [*grant_edits.of_relation(connection, table, role, cell.privilege)]
    for each in [table] if relation.is_table else relation.below:
        if each != table:
            found += grant_edits.of_relation(connection, each, role, cell.privilege)
        found += PolicyEdits(schema, each, role, cell.privilege).all()
        if cell.privilege in ("update", "delete"):  # which may need to see the row
            found += PolicyEdits(schema, each, role, "select").all()
    return unique(found)


def _edits_of_used(project: Project, table: str, cell: Cell) -> list[Edit]:
    """The changes of what the policies of a table use."""
    connection, role = project.connection, project.world.personas[cell.persona].role
    used = [name for name, users in dependents(connection).items() if table in users and name in project.names]
    schema = _schema(project)
    found: list[Edit] = []
    roles = [persona.role for persona in project.world.personas.values()]
    for name in used:
        if project.names[name] == "function":
            for routine in routines(connection, name):
                found += grant_edits.of_function(connection, name, routine, role, roles)
        else:
            found += grant_edits.of_relation(connection, name, role, "select")
            found += PolicyEdits(schema, name, role, "select").all()
    return unique(found)


# -- trying


class _applied:  # noqa: N801 - a context manager
    """Apply a change for a block, and roll it back. Yields False if the server refuses the change."""

    def __init__(self, connection: Connection[Any], edit: Edit) -> None:
        self.connection, self.edit = connection, edit
        self._transaction = connection.transaction(force_rollback=True)

    def __enter__(self) -> bool:
        self._transaction.__enter__()
        try:
            with self.connection.transaction():
                self.connection.execute(self.edit.sql.encode())
        except psycopg.Error:
            return False
        return True

    def __exit__(self, *exception: Any) -> None:
        self._transaction.__exit__(*exception)


@dataclass
class _Search:
    """Looks for a repair of cells. What the other cells are without any change is looked up when it is needed."""

    project: Project
    tested: Tested | None
    cells: Sequence[Cell]
    tried: int = 0
    almost: str = ""
    _grids: list[Grid] = field(default_factory=list)
    _asked: Grid | None = None
    _wrong: dict[Grid, dict[Cell, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        asked = {each.id for each in self.cells}
        others = list(self.project.grids.values())
        if self.tested:
            own = self.tested.grid
            others = [each for each in others if each is not own]
            if not self.tested.test:  # nobody says what is right: what is, must stay
                own = self._as_it_is(own)
            rest = tuple(cell for cell in own.cells if cell.id not in asked)
            others.insert(0, replace(own, cells=rest))
        self._grids = [_decided(each) for each in others]
        self._asked = self._grids[0] if self._grids else None
        self._failures = {each: FirstFailure(each, self.project.world) for each in self._grids}

    def _as_it_is(self, grid: Grid) -> Grid:
        outcomes = GridOutcomes(self.project.connection, self.project.world)
        return replace(
            grid, cells=tuple(replace(cell, expected=verdict(tried)) for cell, tried in outcomes.results(grid))
        )

    def find(self, edits: Sequence[Edit]) -> Repairs:
        """The shortest of the changes that is a repair.

        If it leaves cells of the asked grid wrong, a repair that is a little longer and makes more right is better.
        """
        found: list[Repair] = []
        least = 0
        for edit in edits:
            if found and (edit.weight > least + MORE_WORDS or len(found) == MOST or not self._left_by(found[-1])):
                break
            self.tried += 1
            if self._is_right(edit):
                broken = self.broken_by(edit)
                if broken is None:
                    least = least or edit.weight
                    found.append(Repair(edit.sql, edit.words, edit.what, green=self._made_right(edit)))
                else:
                    self.almost = self.almost or f"{edit.sql} (changes {broken})"
        best = max(found, key=lambda each: len(each.green), default=None)
        others = sum(each.words == best.words for each in found) - 1 if best else 0
        return Repairs(best, self.tried, others, "" if best else self.almost)

    def _left_by(self, repair: Repair) -> int:
        """How many cells of the asked grid are wrong with a repair."""
        return len(self._all_wrong) - len(repair.green)

    @cached_property
    def _all_wrong(self) -> dict[Cell, str]:
        """The other cells of the asked grid that are wrong without any change, with their verdicts."""
        grid = self._asked
        if grid is None:
            return {}
        wrong = GridOutcomes(self.project.connection, self.project.world).try_grid(grid)
        return {cell: verdict(results, cell.expected) for cell, results in wrong.items()}

    def _is_right(self, edit: Edit) -> bool:
        """Whether a change makes all asked cells right."""
        assert self.tested
        connection, world = self.project.connection, self.project.world
        with _applied(connection, edit) as applied:
            return applied and all(
                verdict(GridOutcomes(connection, world).try_cell(self.tested.grid, cell), cell.expected)
                == cell.expected
                for cell in self.cells
            )

    def broken_by(self, edit: Edit) -> str | None:
        """The first other cell that a change makes wrong, or wrong in another way; None if there is none."""
        for number, grid in enumerate(self._grids):
            while True:
                with _applied(self.project.connection, edit):
                    cell = self._first_wrong(grid)
                if cell is None:
                    break
                if self._was_wrong(grid, cell):  # without the change, too: leave it out from now on
                    grid = self._without(number, cell)
                    continue
                return f"{cell.command} as {cell.persona} on {cell.row!r} of {grid.table}"
            if self._differs_otherwise(grid, edit):
                return f"a cell of {grid.table} that is wrong already"
        return None

    def _first_wrong(self, grid: Grid) -> Cell | None:
        failures = self._failures[grid]
        return failures.find(self.project.connection, recent=True) or failures.find(
            self.project.connection, recent=False
        )

    def _was_wrong(self, grid: Grid, cell: Cell) -> bool:
        results = GridOutcomes(self.project.connection, self.project.world).try_cell(grid, cell)
        word = verdict(results, cell.expected)
        if word != cell.expected:
            self._wrong.setdefault(grid, {})[cell] = word
        return word != cell.expected

    def _without(self, number: int, cell: Cell) -> Grid:
        """The grid without a cell that is wrong already."""
        old = self._grids[number]
        new = replace(old, cells=tuple(each for each in old.cells if each != cell))
        self._grids[number] = new
        self._failures[new] = FirstFailure(new, self.project.world)
        self._wrong[new] = self._wrong.pop(old, {})
        return new

    def _differs_otherwise(self, grid: Grid, edit: Edit) -> bool:
        """Whether a cell that is wrong already is wrong in another way with the change."""
        wrong = self._wrong.get(grid, {})
        return any(word not in (before, cell.expected) for cell, before, word in self._with(edit, wrong, grid))

    def _with(self, edit: Edit, cells: Mapping[Cell, str], grid: Grid | None = None) -> Iterator[tuple[Cell, str, str]]:
        """Cells of a grid, by default the asked one, with their verdict without and with a change."""
        grid = grid or self._asked
        if grid is None:
            return
        outcomes = GridOutcomes(self.project.connection, self.project.world)
        with _applied(self.project.connection, edit):
            found = [(cell, outcomes.try_cell(grid, cell)) for cell in cells]
        yield from ((cell, cells[cell], verdict(tried, cell.expected)) for cell, tried in found)

    def _made_right(self, edit: Edit) -> list[str]:
        """The cells of the asked grid that are wrong without the change and right with it."""
        return [
            f"{cell.command} as {cell.persona} on {cell.row!r}"
            for cell, _, word in self._with(edit, self._all_wrong)
            if word == cell.expected
        ]


def _decided(grid: Grid) -> Grid:
    """The grid without the cells that have no verdict."""
    return replace(grid, cells=tuple(cell for cell in grid.cells if cell.expected))
