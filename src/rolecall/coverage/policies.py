"""Which policy let a row through, and which stopped it: each tried alone, as everybody, on the rows of a grid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection, sql

from rolecall.access.session import Persona, advisory_locks_released
from rolecall.access.world import World
from rolecall.catalog import objects
from rolecall.catalog.objects import Policy
from rolecall.grids.grid import COMMANDS, Cell, Grid

Facts = set[tuple[str, ...]]

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
        judge = _Judge(connection, grid, world)
        for cell in grid.cells:
            command = cell.command if cell.command in COMMANDS else "update"
            got = "yes" in cell.expected.split("/")  # one of two ways is enough
            for persona, of_command, policy in applying:
                if (persona.name, of_command) == (cell.persona, command):
                    passes = judge.passes(persona, cell, policy)
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


class _Judge:
    """Says who passes which predicate with which row, as it stands and as a write leaves it."""

    def __init__(self, connection: Connection[Any], grid: Grid, world: World) -> None:
        self.connection, self.grid, self.world = connection, grid, world
        self.table = sql.Identifier(*grid.table.split("."))
        self._standing: dict[tuple[str, str], set[tuple[str, ...]] | None] = {}
        self._becoming: dict[tuple[str, str, str, str], bool | None] = {}
        there = connection.execute(
            "SELECT polname FROM pg_policy WHERE polrelid = %s::regclass", [self.table.as_string()]
        )
        for (name,) in there.fetchall():
            connection.execute(sql.SQL("DROP POLICY {} ON {}").format(sql.Identifier(name), self.table))
        connection.execute(sql.SQL("GRANT SELECT ON {} TO PUBLIC").format(self.table))

    def passes(self, persona: Persona, cell: Cell, policy: Policy) -> bool | None:
        """Whether a policy alone lets a cell's command through; None where that cannot be tried."""
        check = policy.check or policy.using
        if cell.command == "insert":
            return self._stands(persona, cell, check)
        stands = self._stands(persona, cell, policy.using)
        if not stands or cell.command in ("select", "delete"):
            return stands
        return self._becomes(persona, cell, check)

    def _key(self, cell: Cell) -> tuple[str, ...]:
        row = self.world.row(self.grid.table, cell.row)
        return tuple(str(row[column]) for column in self.grid.key)

    def _stands(self, persona: Persona, cell: Cell, predicate: str | None) -> bool | None:
        if predicate is None:
            return None
        known = self._standing
        if (persona.name, predicate) not in known:
            known[persona.name, predicate] = self._passing(persona, predicate)
        passing = known[persona.name, predicate]
        return None if passing is None else self._key(cell) in passing

    def _becomes(self, persona: Persona, cell: Cell, predicate: str | None) -> bool | None:
        if predicate is None:
            return None
        known, key = self._becoming, (persona.name, cell.row, cell.command, predicate)
        if key not in known:
            statement = self.grid.checks(cell, self.world)[0].statement
            try:
                with self.connection.transaction(force_rollback=True):
                    self.connection.execute(statement.encode())
                    passing = self._passing(persona, predicate)
                    known[key] = None if passing is None else self._key(cell) in passing
            except psycopg.Error:  # say a unique index: what it becomes cannot be
                known[key] = None
        return known[key]

    def _passing(self, persona: Persona, predicate: str) -> set[tuple[str, ...]] | None:
        """The keys of the rows that a predicate, as the table's only policy, lets a persona see."""
        alone = sql.SQL("CREATE POLICY alone ON {} FOR SELECT USING ({})").format(self.table, sql.SQL(predicate))
        key = sql.SQL(", ").join(map(sql.Identifier, self.grid.key))
        query = sql.SQL("SELECT {} FROM {}").format(key, self.table)
        try:
            with self.connection.transaction(force_rollback=True):
                self.connection.execute(alone)
                if persona.setup:
                    self.connection.execute(persona.prepare(self.grid.table).encode())
                for setting in persona.settings("GET"):
                    self.connection.execute("SELECT set_config(%s, %s, true)", setting)
                return {tuple(map(str, key)) for key in self.connection.execute(query)}
        except psycopg.Error:
            return None
