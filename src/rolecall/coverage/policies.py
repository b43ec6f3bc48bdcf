"""Which policy let a row through, and which stopped it: each tried alone, as everybody, on the rows of a grid."""

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
OPEN = "SELECT has_schema_privilege(%s, %s, 'USAGE')"


def outcomes(using: str | None, check: str | None, command: str) -> set[str]:
    """What a policy can do for a command: one that is always false admits nothing, and so on."""
    decisive = _predicates(using, check, command)
    can = {"admitted"} if "false" not in decisive else set()
    return can | ({"turned away"} if decisive != {"true"} else set())


def _predicates(using: str | None, check: str | None, command: str) -> set[str | None]:
    check = check or using
    return {"insert": {check}, "update": {using, check}}.get(command, {using})


class _Try(NamedTuple):
    """A policy that applies to a command of a persona."""

    persona: Persona
    command: str
    policy: Policy


def facts(connection: Connection[Any], grid: Grid, world: World) -> dict[Cell, Facts]:
    """For each cell, if it is as written, what it proves: ``("admitted", table, policy, command)`` or
    ``("turned away", …)``.

    A policy has admitted a row if it lets it through alone and the persona got it, and turned it away
    if it stops it alone and the persona did not. Everything is undone.
    """
    proved: dict[Cell, Facts] = {cell: set() for cell in grid.cells}
    with advisory_locks_released(connection), connection.transaction(force_rollback=True):
        applying = [each for persona in world.personas.values() for each in _applying(connection, grid, persona)]
        decisions = _Decisions(connection, grid, world)
        for cell in grid.cells:
            command = cell.privilege
            got = "yes" in cell.expected.split("/")  # one of two ways is enough
            for persona, of_command, policy in applying:
                if (persona.name, of_command) == (cell.persona, command):
                    passes = decisions.passes(persona, cell, policy)
                    if passes == got:
                        what = "admitted" if passes else "turned away"
                        proved[cell].add((what, grid.table, policy.name, command))
    return proved


def _applying(connection: Connection[Any], grid: Grid, persona: Persona) -> Iterator[_Try]:
    """The policies that decide: nobody asks them where no privilege is held, or where RLS is bypassed."""
    bypasses = connection.execute(BYPASSES, [persona.role]).fetchone()
    if bypasses is None or bypasses[0]:
        return
    with connection.transaction(force_rollback=True):
        if persona.setup:
            connection.execute(persona.prepare(grid.table).encode())
        is_open = connection.execute(OPEN, [persona.role, grid.table.split(".")[0]]).fetchone()
        held = objects.privileges(connection, grid.table, persona.role)
        for command in COMMANDS:
            if is_open and is_open[0] and command.upper() in held:
                for policy in objects.policies(connection, grid.table, command, persona.role):
                    yield _Try(persona, command, policy)


class _Decisions:
    """Whether a policy alone lets a command through, on the row as it is and as a write leaves it; asked once."""

    def __init__(self, connection: Connection[Any], grid: Grid, world: World) -> None:
        self.connection, self.grid, self.world = connection, grid, world
        self.probe = PolicyProbe(connection, grid.table)
        self._now: dict[tuple[str, str], set[Key] | None] = {}
        self._after: dict[tuple[str, str, str, str], bool | None] = {}

    def passes(self, persona: Persona, cell: Cell, policy: Policy) -> bool | None:
        """Whether a policy alone lets a cell's command through; None where that cannot be tried."""
        check = policy.check or policy.using
        if cell.command == "insert":
            return self._passes_now(persona, cell, check)
        passes = self._passes_now(persona, cell, policy.using)
        if not passes or cell.command in ("select", "delete"):
            return passes
        return self._passes_after(persona, cell, check)

    def _passes_now(self, persona: Persona, cell: Cell, predicate: str | None) -> bool | None:
        if predicate is None:
            return None
        key = persona.name, predicate
        if key not in self._now:
            self._now[key] = self._passing(persona, predicate)
        return self._is_among(cell, self._now[key])

    def _passes_after(self, persona: Persona, cell: Cell, predicate: str | None) -> bool | None:
        if predicate is None:
            return None
        key = persona.name, cell.row, cell.command, predicate
        if key not in self._after:
            self._after[key] = self._try_after(persona, cell, predicate)
        return self._after[key]

    def _try_after(self, persona: Persona, cell: Cell, predicate: str) -> bool | None:
        statement = self.grid.checks(cell, self.world)[0].statement
        try:
            with self.connection.transaction(force_rollback=True):
                self.connection.execute(statement.encode())
                return self._is_among(cell, self._passing(persona, predicate))
        except psycopg.Error:  # e.g. a unique index: the row cannot become what the statement writes
            return None

    def _is_among(self, cell: Cell, passing: set[Key] | None) -> bool | None:
        row = self.world.row(self.grid.table, cell.row)
        return None if passing is None else tuple(str(row[column]) for column in self.grid.key) in passing

    def _passing(self, persona: Persona, predicate: str) -> set[Key] | None:
        """The keys of the rows that a predicate, as the table's only policy, lets a persona see."""
        before = [persona.prepare(self.grid.table)] if persona.setup else []
        try:
            rows = self.probe.rows(predicate, persona, before=before, columns=self.grid.key)
        except psycopg.Error:
            return None
        return {tuple(map(str, key)) for key in rows}
