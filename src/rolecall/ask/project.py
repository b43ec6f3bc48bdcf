"""The project that a question is about: its grids, its world, and a database with everything in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import psycopg

from rolecall.access.persona import Method, Persona
from rolecall.access.session import Session, advisory_locks_released
from rolecall.access.world import World
from rolecall.ask.names import choose, parse_name
from rolecall.ask.relation import Relation, read_relation
from rolecall.ask.untested import untested_grid
from rolecall.catalog import places
from rolecall.catalog.places import Places
from rolecall.collect import collect_grids
from rolecall.database.provision import Provisioner, provision
from rolecall.errors import RolecallError
from rolecall.grids.grid import COMMANDS, Grid
from rolecall.server.connection import ServerConnection
from rolecall.settings import Settings
from rolecall.worker import Worker

EXECUTE = "execute"

# Tables, views and functions that a project may ask about: those of no extension.
NAMES = """
SELECT n.nspname || '.' || c.relname, 'relation'
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
UNION
SELECT n.nspname || '.' || p.proname, 'function'
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND p.prokind IN ('f', 'p')
  AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
ORDER BY 1
"""


class Tested(NamedTuple):
    """The grid that a question is tried with. ``test`` is its id; empty for a grid that no test has."""

    grid: Grid
    test: str


@dataclass(frozen=True)
class Project:
    """``worker`` has a clone of the migrated database with the world. ``grids`` are by the id of their tests."""

    worker: Worker
    world: World
    grids: Mapping[str, Grid]
    settings: Settings

    @property
    def connection(self) -> ServerConnection:
        """The superuser's connection to the clone."""
        return self.worker.connection

    def run_as(self, persona: Persona, method: Method, statement: str) -> tuple[int, psycopg.Error | None]:
        """The number of rows of a statement as a persona, and its error or None. Everything is rolled back."""
        connection = self.connection
        session = Session(connection, self.world.personas)
        try:
            with (
                advisory_locks_released(connection),
                connection.transaction(force_rollback=True),
                session.acting_as(persona.name, method=method),
            ):
                if method == "GET":
                    connection.execute("SELECT set_config('transaction_read_only', 'on', true)")
                count = connection.execute(statement.encode()).rowcount
                if method != "GET":
                    connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
                return count, None
        except psycopg.Error as error:
            return 0, error

    @cached_property
    def places(self) -> Places:
        """Where the SQL of the project makes what decides."""
        return places.of(self.settings)

    @cached_property
    def names(self) -> dict[str, str]:
        """Everything that one may ask about: ``relation`` or ``function``, by "schema.name"."""
        return dict(self.connection.execute(NAMES).fetchall())

    def persona(self, name: str) -> str:
        """The name of a persona. Raises RolecallError with those that exist."""
        return choose("persona", name, self.world.personas, "The world has")

    def object(self, text: str) -> str:
        """The "schema.name" that a user means: with or without quotes, without the schema if only one has the name."""
        name = parse_name(text)
        if name not in self.names and "." not in name:
            same = [each for each in self.names if each.partition(".")[2] == name]
            if len(same) == 1:
                return same[0]
        return choose("table, view or function", name, self.names, "The database has")

    def relation(self, name: str) -> Relation:
        """What the catalog says about a table or view."""
        return read_relation(self.connection, name)

    def command(self, table: str, name: str) -> str:
        """The name of a command of a table or view. Raises RolecallError with those that it has."""
        own = [command for grid in self.grids.values() if grid.table == table for command in grid.commands]
        return choose("command", name, dict.fromkeys([*COMMANDS, *own]), f"{table} has")

    def tested(self, table: str, command: str) -> Tested | None:
        """The grid to try a command of a table with: the project's own, or one with usual values.

        None if the world has no row of the table.
        """
        for test, grid in self.grids.items():
            if grid.table == table and command in grid.commands:
                return Tested(grid, test)
        present = [row for row in self.world.rows.get(table, {}) if (table, row) not in self.world.missing]
        return Tested(untested_grid(self.connection, self.world, table), "") if present else None

    def row(self, table: str, name: str) -> str:
        """The name of a row of the world. Raises RolecallError with those of the table."""
        row = choose(f"row of {table}", name, self.world.rows.get(table, {}), "The world has")
        self.world.require(table, row)
        return row


@contextmanager
def provisioned() -> Iterator[tuple[Provisioner, World, Mapping[str, Grid]]]:
    """The server of this folder's project with its databases, for the block, the world and the grids.

    Raises RolecallError, also for an error of the server, or SqlError for a step that fails.
    """
    collected = collect_grids()
    if collected.process is None:
        raise RolecallError("pytest did not collect this project: run pytest, and see its message.")
    world = collected.world
    # Nothing is counted here, and the observer of the coverage would only cost time.
    settings = replace(collected.process.settings, coverage=False)
    try:
        with provision(settings, world) as provisioner:
            world.missing = provisioner.build().missing_rows
            yield provisioner, world, collected.grids
    except psycopg.Error as error:
        raise RolecallError(f"the question cannot be answered: {' '.join(str(error).split())}") from None


@contextmanager
def opened() -> Iterator[Project]:
    """The project of this folder, for the block. Raises what :func:`provisioned` raises."""
    with (
        provisioned() as (provisioner, world, grids),
        closing(Worker(provisioner.run, provisioner.settings, world, "ask")) as worker,
    ):
        yield Project(worker, world, grids, provisioner.settings)
