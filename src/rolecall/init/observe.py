"""Tries the proposed personas on the proposed rows: the grid of each table, with its verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import postgast
import psycopg
from postgast import pg_query_pb2 as pb
from psycopg import Connection, sql

from rolecall.access.world import World
from rolecall.errors import RolecallError
from rolecall.grids.grid import COMMANDS, Cell, Grid, fill, grid
from rolecall.grids.outcomes import GridOutcomes
from rolecall.grids.policy import PolicyProbe
from rolecall.grids.verdicts import verdict
from rolecall.init import values
from rolecall.init.cast import ANONYMOUS, HOMES, Actor, Cast, singular
from rolecall.init.facts import ColumnOf, Constant, Facts
from rolecall.init.keys import CHANGED, key_of
from rolecall.init.proposed_row import ProposedRow
from rolecall.init.shape import Column, Shape, Table

OWNED = tuple(f"{home}'s " for home in HOMES)  # how the names of their rows begin
REFERRED = "23503"  # SQLSTATE: a foreign key
OF_VALUES = ("22", "23", "P0")  # classes of SQLSTATE: what a value, a constraint or a function refuses
BECOME = "become "  # the name of a move
Verdicts = dict[str, str]  # by command


@dataclass(frozen=True)
class Observed:
    """The grid of a table. ``cells`` has the verdicts by row and persona."""

    table: str
    update: str
    moves: Mapping[str, str]
    key: Sequence[str]
    cells: Mapping[tuple[str, str], Verdicts] = field(default_factory=dict)
    refusals: Sequence[str] = ()  # SQLSTATEs that are verdicts of their own
    problem: str = ""  # a cell that ends with an error

    @property
    def commands(self) -> list[str]:
        return [*COMMANDS, *self.moves]


class Leak(NamedTuple):
    """Access that looks wrong: commands on rows of a table, and the personas that may do them."""

    table: str
    commands: Sequence[str]
    personas: Sequence[str]
    rows: Sequence[str]


@dataclass
class Observer:
    """``connection`` is a superuser's, to a database that has the world. ``aliases`` are those that moves need."""

    connection: Connection[Any]
    shape: Shape
    facts: Facts
    cast: Cast
    world: World
    rows: Mapping[str, Sequence[ProposedRow]]
    aliases: dict[str, tuple[ProposedRow, str]] = field(default_factory=dict)

    def observe(self, table: str) -> Observed:
        """Try a table. Raises RolecallError if a cell has no verdict, with the error of the server."""
        key = self._key(table)
        moves = dict(self._moves(self.shape.tables[table]))
        problem, observed = "no column can be changed", Observed(table, "", {}, key)
        self._sqlstates: list[str] = []
        for update in self._updates(self.shape.tables[table]):
            observed, errors = self._try(Observed(table, update, moves, key))
            if bad := {cell.command for cell in errors} & set(moves):
                moves = {name: text for name, text in moves.items() if name not in bad}
                observed, errors = self._try(Observed(table, update, moves, key))
            if not errors:
                return observed
            problem = next(iter(errors.values()))
            if {cell.command for cell in errors} - {"update"}:
                break
        observed, errors = self._try(replace(observed, refusals=self._sqlstates))
        if errors:
            raise RolecallError(problem)
        return replace(observed, problem=problem)

    def _try(self, observed: Observed) -> tuple[Observed, dict[Cell, str]]:
        """Try a grid. Returns it, and the cells without a verdict, each with an error."""
        text = "   ".join(observed.commands)
        empty = grid(observed.table, text, update=observed.update, moves=observed.moves, key=observed.key)
        whole: Grid = empty.completed(self.world)
        whole.validate(self.world)
        cells: dict[tuple[str, str], Verdicts] = {}
        errors: dict[Cell, str] = {}
        for cell, results in GridOutcomes(self.connection, self.world).try_grid(whole).items():
            # A foreign key refuses to delete a row that others refer to, and to take it away from them.
            refusals = [*observed.refusals, *([] if cell.command == "insert" else [REFERRED])]
            word = verdict(results, "/".join(refusals))
            cells.setdefault((cell.row, cell.persona), {})[cell.command] = word
            if "error" in word.split("/"):
                outcome = next(each for _, each in results if "error" in each.words)
                errors[cell] = f"{cell.command} on {cell.row!r} as {cell.persona} ends with an error: {outcome}"
                self._sqlstates += [
                    each.sqlstate for _, each in results if each.sqlstate and each.sqlstate.startswith(OF_VALUES)
                ]
        return replace(observed, cells=cells), errors

    def _key(self, table: str) -> Sequence[str]:
        """The columns that tell the rows of the world apart."""
        if key := key_of(self.shape.tables[table], [row.columns for row in self.rows[table]]):
            return key
        raise RolecallError("no columns tell its rows apart")

    # -- the commands

    def _updates(self, table: Table) -> Iterator[str]:
        """Harmless SET clauses that the database accepts for all rows, the most harmless first."""
        columns = sorted(table.columns.values(), key=lambda column: self._harm(table, column))
        for column in (each for each in columns if not each.is_fixed):
            existing_rows = [row.whole[column.name] for row in self.rows[table.name]]
            for value in (CHANGED.get(column.category), *values.candidates(column, "changed", 7, []), *existing_rows):
                text = _assignment(column.name, value) if value is not None else ""
                if text and self._is_accepted(table.name, text):
                    yield text
                    break
        for column in table.columns.values():
            if not column.is_fixed:  # it reads a column, so that a blind write is tried with a condition
                yield f"{_quoted(column.name)} = {_quoted(column.name)}"

    def _harm(self, table: Table, column: Column) -> tuple[bool, ...]:
        """False comes first: a column that says nothing about access, and that clients may change."""
        at = ColumnOf(table.name, column.name)
        unique = {name for names in table.unique.values() for name in names}
        return (
            column.name in unique or table.foreign_key_of(column.name) is not None,
            at in self.facts.named or at in self.facts.values or at in self.facts.used,
            not self._is_granted(table.name, column.name),
            column.category not in CHANGED,
            column.name in ("created_at", "updated_at", "inserted_at"),
            column.category != "S",
        )

    def _is_granted(self, table: str, column: str) -> bool:
        if not self.cast.main:
            return True
        row = self.connection.execute(
            "SELECT has_column_privilege(%s, %s, %s, 'UPDATE')",
            [self.cast.main, sql.Identifier(*table.split(".", 1)).as_string(), column],
        ).fetchone()
        return row == (True,)

    def _is_accepted(self, table: str, assignment: str) -> bool:
        try:
            with self.connection.transaction(force_rollback=True):
                text = fill(assignment, self.world)
                self.connection.execute(
                    sql.SQL("UPDATE {} SET {}").format(sql.Identifier(*table.split(".", 1)), sql.SQL(text))
                )
        except psycopg.Error:
            return False
        return True

    def _moves(self, table: Table) -> Iterator[tuple[str, str]]:
        """Ways to give a row away, to Bob or to what is his, and to become somebody who may do more."""
        own = [name for name in self.cast.owned(table.name) if not table.is_unique(name)]
        bob = self.world.personas.get(HOMES[1])
        for name in own if bob and "sub" in bob.claims else []:
            yield (f"give {name} to bob" if len(own) > 1 else "give to bob"), f"{_quoted(name)} = {{bob}}"
        for name, need in [(actor.name, need) for actor in self.cast.actors for need in actor.needs]:
            if need.table == table.name and need.values:
                yield f"{BECOME}{name}", ", ".join(self._compared_values(table, *each) for each in need.values.items())
        for key in table.foreign_keys:
            column = key.columns[0]
            name = word_of(f"bobs_{singular(key.parent)}")
            proposed = next((row for row in self.rows.get(key.parent, ()) if row.name.startswith("bob's ")), None)
            asked = ColumnOf(table.name, column) in self.facts.used | set(self.facts.named)
            if len(key.columns) > 1 or column in own or not (proposed and asked) or self.cast.is_personal(key.parent):
                continue
            self.aliases[name] = proposed, key.keys[0]
            self.world.alias(name, proposed.whole[key.keys[0]])
            text = f"{_quoted(column)} = {{{name}}}"
            if self._is_accepted(table.name, text):
                yield f"move to bob's {singular(key.parent)}", text

    def _compared_values(self, table: Table, column: str, value: Constant) -> str:
        return _assignment(column, values.of_constant(value, table.columns[column], "changed", 7))

    # -- what the grids say

    def leaks(self, observed: Observed) -> Iterator[Leak]:
        """What somebody without a tenant and without rows may do, and who writes what belongs to another."""
        found: dict[tuple[str, str], dict[str, list[str]]] = {}
        for (row, persona), cells in observed.cells.items():
            for command, word in cells.items():
                actor = self.actors[persona]
                own = actor.subject is not None and actor.subject in self._values(observed.table, row)
                is_foreign = row.startswith(OWNED) and actor.home not in (None, row.partition("'")[0]) and not own
                writes = is_foreign and command != "select"
                wrong = self._is_outside(actor) or (actor.name in HOMES and (writes or command.startswith(BECOME)))
                if wrong and "yes" in word.split("/"):
                    found.setdefault((command, row), {}).setdefault(persona, []).append(word)
        rows: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for (command, row), personas in found.items():
            rows.setdefault((command, tuple(personas)), []).append(row)
        commands: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
        for (command, who), each in rows.items():
            commands.setdefault((who, tuple(each)), []).append(command)
        yield from (Leak(observed.table, each, *of) for of, each in commands.items())

    def _values(self, table: str, row: str) -> list[Any]:
        return list(next(proposed for proposed in self.rows[table] if proposed.name == row).columns.values())

    @cached_property
    def actors(self) -> dict[str, Actor]:
        """The personas, by name."""
        return {each.name: each for each in self.cast.actors}

    def _is_outside(self, actor: Actor) -> bool:
        """Whether a persona has nothing: no tenant, no rows, and no role that bypasses row-level security."""
        if self.cast.roles.get(actor.role) or actor.home:
            return False
        return actor.role in ANONYMOUS or self.cast.asks_subject or bool(self.cast.sources)

    def undecided_policies(self) -> Iterator[tuple[str, str]]:
        """The policies that did not both admit and refuse a row, each with what is missing."""
        for policy in self.shape.policies:
            if policy.table not in self.rows:
                yield f'{policy.table} "{policy.name}"', "has no row to decide about"
                continue
            admitted, refused = self._decisions(policy.table, policy.roles, policy.using, policy.check)
            missing = [word for word, done in (("admitted", admitted), ("refused", refused)) if not done]
            constant = {policy.using, policy.check} - {None}
            if missing and constant <= {"true", "false"} and len(constant) == 1:
                does = "admits" if constant == {"true"} else "refuses"
                yield f'{policy.table} "{policy.name}"', f"{does} every row: its condition is {constant.pop()}"
            elif missing:
                yield f'{policy.table} "{policy.name}"', f"{' and '.join(missing)} no row"

    def _decisions(self, table: str, roles: Sequence[str], *predicates: str | None) -> tuple[bool, bool]:
        """Whether the predicates of a policy admitted a row of a persona, and refused one."""
        total, probe = len(self.rows[table]), PolicyProbe(self.connection, table)
        admitted = refused = False
        for persona in self.world.personas.values():
            if "public" not in roles and not set(roles) & self._roles_of(persona.role):
                continue
            for predicate in filter(None, predicates):
                try:
                    seen = len(probe.rows(predicate, persona))
                except psycopg.Error:
                    seen = 0
                admitted, refused = admitted or seen > 0, refused or seen < total
            if admitted and refused:
                break
        return admitted, refused

    def _roles_of(self, role: str) -> set[str]:
        """The roles whose policies apply to a role: itself, and those whose privileges it inherits."""
        query = "SELECT rolname::text FROM pg_roles WHERE pg_has_role(%s, oid, 'USAGE')"
        return {name for (name,) in self.connection.execute(query, [role])}


def word_of(text: str) -> str:
    """A text as one word, for a name in ``{…}``."""
    return "".join(each if each.isalnum() and each.isascii() else "_" for each in text).lower()


def _assignment(column: str, value: Any) -> str:
    text = sql.Literal(value if not isinstance(value, dict) else "{}").as_string()
    return f"{_quoted(column)} = {text}".replace("{", "{{").replace("}", "}}")


def _quoted(name: str) -> str:
    """A name for SQL: in quotes only if it must be."""
    tokens = postgast.scan(name).tokens
    reserved = tokens[0].keyword_kind in (pb.RESERVED_KEYWORD, pb.TYPE_FUNC_NAME_KEYWORD)
    simple = name.isascii() and name.isidentifier() and name == name.lower() and not reserved
    text = name if simple else sql.Identifier(name).as_string()
    return text.replace("{", "{{").replace("}", "}}")
