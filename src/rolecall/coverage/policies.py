"""Which policies admitted a row and which turned one away.

Each policy is tested in isolation, as every persona, on the rows of a grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection

from rolecall.access.persona import Persona
from rolecall.access.session import advisory_locks_released
from rolecall.access.world import World
from rolecall.catalog import objects
from rolecall.catalog.objects import Policy
from rolecall.grids.grid import COMMANDS, Cell, Grid
from rolecall.grids.policy import PolicyProbe

Facts = set[tuple[str, ...]]
Key = tuple[str, ...]

BYPASSES = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = %s"
MAY_ENTER = "SELECT has_schema_privilege(%s, %s, 'USAGE')"
# A privilege on a single column is enough for a policy to apply.
HOLDS = """
SELECT command FROM unnest(%s::text[]) AS command
WHERE has_table_privilege(%s, %s::regclass, command)
  OR command <> 'delete' AND has_any_column_privilege(%s, %s::regclass, command)
"""


def outcomes(using: str | None, check: str | None, command: str) -> set[str]:
    """The possible outcomes of a policy for a command: e.g. a predicate that is always false admits nothing."""
    predicates = _predicates(using, check, command)
    can = {"admitted"} if "false" not in predicates else set()
    return can | ({"turned away"} if predicates != {"true"} else set())


def _predicates(using: str | None, check: str | None, command: str) -> set[str | None]:
    check = check or using
    return {"insert": {check}, "update": {using, check}}.get(command, {using})


class _Applicable(NamedTuple):
    """A policy that applies to a command of a persona."""

    persona: Persona
    command: str
    policy: Policy


def facts(connection: Connection[Any], grid: Grid, world: World) -> dict[Cell, Facts]:
    """What each cell proves if it passes: ``("admitted", table, policy, command)`` or ``("turned away", …)``.

    A policy has admitted a row if it admits the row alone and the cell has ``yes``. It has turned the row away if
    it stops the row alone and the cell has no ``yes``. Everything is rolled back.
    """
    proofs: dict[Cell, Facts] = {cell: set() for cell in grid.cells}
    with advisory_locks_released(connection), connection.transaction(force_rollback=True):
        applicable = [item for persona in world.personas.values() for item in _applicable(connection, grid, persona)]
        decisions = _Decisions(connection, grid, world)
        for cell in grid.cells:
            if (grid.table, cell.row) in world.missing:
                continue
            command = cell.privilege
            has_access = "yes" in cell.expected.split("/")  # one of two verdicts is enough
            for persona, of_command, policy in applicable:
                if (persona.name, of_command) == (cell.persona, command):
                    passes = decisions.passes(persona, cell, policy)
                    if passes == has_access:
                        what = "admitted" if passes else "turned away"
                        proofs[cell].add((what, grid.table, policy.name, command))
    return proofs


def _applicable(connection: Connection[Any], grid: Grid, persona: Persona) -> Iterator[_Applicable]:
    """The policies that apply: none without the privilege, and none for a role that bypasses row-level security."""
    bypasses = connection.execute(BYPASSES, [persona.role]).fetchone()
    if bypasses is None or bypasses[0]:
        return
    with connection.transaction(force_rollback=True):
        if persona.setup:
            connection.execute(persona.prepare(grid.table).encode())
        may_enter = connection.execute(MAY_ENTER, [persona.role, grid.table.split(".")[0]]).fetchone()
        of_role = [persona.role, objects.qualified(grid.table)]
        held = {command for (command,) in connection.execute(HOLDS, [list(COMMANDS), *of_role, *of_role])}
        for command in COMMANDS:
            if may_enter and may_enter[0] and command in held:
                for policy in objects.policies(connection, grid.table, command, persona.role):
                    yield _Applicable(persona, command, policy)


class _Decisions:
    """Whether a policy alone admits a command, for the current row and for the updated row. Each is queried once."""

    def __init__(self, connection: Connection[Any], grid: Grid, world: World) -> None:
        self.connection, self.grid, self.world = connection, grid, world
        self.probe = PolicyProbe(connection, grid.table)
        self._current: dict[tuple[str, str], set[Key] | None] = {}
        self._updated: dict[tuple[str, str, str, str], bool | None] = {}

    def passes(self, persona: Persona, cell: Cell, policy: Policy) -> bool | None:
        """Whether a policy alone admits a cell's command; None if it cannot be tested."""
        check = policy.check or policy.using
        if cell.command == "insert":
            return self._passes_current(persona, cell, check)
        passes = self._passes_current(persona, cell, policy.using)
        if not passes or cell.command in ("select", "delete"):
            return passes
        return self._passes_updated(persona, cell, check)

    def _passes_current(self, persona: Persona, cell: Cell, predicate: str | None) -> bool | None:
        if predicate is None:
            return None
        key = persona.name, predicate
        if key not in self._current:
            self._current[key] = self._visible_keys(persona, predicate)
        return self._is_among(cell, self._current[key])

    def _passes_updated(self, persona: Persona, cell: Cell, predicate: str | None) -> bool | None:
        if predicate is None:
            return None
        key = persona.name, cell.row, cell.command, predicate
        if key not in self._updated:
            self._updated[key] = self._test_updated(persona, cell, predicate)
        return self._updated[key]

    def _test_updated(self, persona: Persona, cell: Cell, predicate: str) -> bool | None:
        statement = self.grid.checks(cell, self.world)[0].statement
        try:
            with self.connection.transaction(force_rollback=True):
                self.connection.execute(statement.encode())
                return self._is_among(cell, self._visible_keys(persona, predicate))
        except psycopg.Error:  # e.g. a unique index: the row cannot become what the statement writes
            return None

    def _is_among(self, cell: Cell, keys: set[Key] | None) -> bool | None:
        row = self.world.row(self.grid.table, cell.row)
        return None if keys is None else tuple(str(row[column]) for column in self.grid.key) in keys

    def _visible_keys(self, persona: Persona, predicate: str) -> set[Key] | None:
        """The keys of the rows that a persona sees if a predicate is the table's only policy."""
        before = [persona.prepare(self.grid.table)] if persona.setup else []
        try:
            rows = self.probe.rows(predicate, persona, before=before, columns=self.grid.key)
        except psycopg.Error:
            return None
        return {tuple(map(str, key)) for key in rows}
