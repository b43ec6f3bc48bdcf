"""The tables, views and functions of a report: what every persona can do with them, and what decides it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from rolecall.access.session import advisory_locks_released
from rolecall.access.world import World, matching
from rolecall.access_map import objects as project_objects
from rolecall.access_map.objects import Relation
from rolecall.catalog.objects import Policy
from rolecall.catalog.places import Places
from rolecall.catalog.snapshot import Item
from rolecall.gather import catalog, grids
from rolecall.gather.catalog import Facts
from rolecall.gather.policies import Admissions
from rolecall.gather.project import Project
from rolecall.gather.untested import UntestedCommands
from rolecall.gather.uses import uses
from rolecall.grids.grid import Grid
from rolecall.grids.outcomes import GridOutcomes
from rolecall.grids.policy import PolicyProbe
from rolecall.report.report import Place, ReportedCommand, ReportedObject, ReportedPolicy


@dataclass(frozen=True)
class Sources:
    """What a report is made of, besides the database: ``grids`` are by the id of their tests.

    ``places`` are the lines of the SQL, and ``made_by`` has the phase that made an object.
    """

    world: World
    grids: Mapping[str, Grid]
    places: Places
    project: Project
    made_by: Mapping[Item, int]


def read(connection: Connection[Any], sources: Sources) -> list[ReportedObject]:
    """Try and read all tables and views, then the functions, each by name.

    ``connection`` is a worker's, to a database that has the world. Everything is rolled back.
    """
    with connection.transaction(force_rollback=True), advisory_locks_released(connection):
        return _Reader(connection, sources).objects()


class _Reader:
    """Reads one object after the other. What concerns all of them is read once."""

    def __init__(self, connection: Connection[Any], sources: Sources) -> None:
        self.connection, self.sources, self.world = connection, sources, sources.world
        self.untested = UntestedCommands(connection, self.world)
        self.callable = self.untested.functions()
        tables = {grid.table for grid in sources.grids.values()}
        # With an empty search_path, every name in a definition has its schema.
        with connection.transaction(force_rollback=True):
            connection.execute("SELECT set_config('search_path', '', true)")
            self.relations = project_objects.relations(connection, tables)
            roles = list(dict.fromkeys(persona.role for persona in self.world.personas.values()))
            names = {relation.name: relation.sql for relation in self.relations}
            self.facts = catalog.relations(connection, names, roles)
            self.functions = catalog.functions(connection, self.callable, roles)
            policies = [policy for facts in self.facts.values() for policy in facts.policies]
            self.members = catalog.members(connection, roles, {role for each in policies for role in each.roles})
        self.uses = uses(connection, {each.item: name for name, each in (self.facts | self.functions).items()})

    def objects(self) -> list[ReportedObject]:
        relations = [self._relation(relation) for relation in self.relations]
        return relations + [self._function(name, facts) for name, facts in sorted(self.functions.items())]

    def _relation(self, relation: Relation) -> ReportedObject:
        facts, own = self.facts[relation.name], self._grids(relation)
        tried = {id_: dict(GridOutcomes(self.connection, self.world).results(grid)) for id_, grid in own.items()}
        test, grid = next(iter(own.items()), ("", None))
        return ReportedObject(
            relation.name,
            relation.kind,
            self.sources.places.find(relation.kind, relation.name),
            self._phase("relation", facts),
            facts.row_security,
            self._commands(own, tried) if own else self.untested.relation(relation),
            self._policies(relation, facts, grid, tried.get(test, {})),
            facts.privileges,
            facts.columns,
            facts.triggers,
            [entry.text for entry in grid.decided_by.entries] if grid and grid.decided_by else [],
            self.uses.get(relation.name, ()),
            test,
            self.sources.project.place(grid.path, grid.line) if grid else Place(),
            facts.definition,
        )

    def _function(self, name: str, facts: Facts) -> ReportedObject:
        return ReportedObject(
            name,
            "function",
            self.sources.places.find("function", name),
            self._phase("routine", facts),
            False,
            self.untested.function(facts.item, self.callable[name]),
            privileges=facts.privileges,
            depends_on=self.uses.get(name, ()),
            definition=facts.definition,
        )

    def _phase(self, kind: str, facts: Facts) -> int:
        return self.sources.made_by.get(Item(kind, facts.item), 0)

    def _grids(self, relation: Relation) -> dict[str, Grid]:
        """The grids of a table whose rows the world has."""
        grids_ = self.sources.grids.items()
        return {id_: grid for id_, grid in grids_ if grid.table == relation.name and grid.table in self.world.rows}

    def _commands(self, own: Mapping[str, Grid], tried: Mapping[str, grids.Tried]) -> list[ReportedCommand]:
        """The commands of the grids of a table. Of two with the same row and command, the first counts."""
        found: dict[tuple[str, str], ReportedCommand] = {}
        for id_, grid in own.items():
            for command in grids.commands(grid, tried[id_], self.world):
                found.setdefault((command.row, command.command), command)
        return list(found.values())

    def _policies(
        self, relation: Relation, facts: Facts, grid: Grid | None, tried: grids.Tried
    ) -> Sequence[ReportedPolicy]:
        personas = self.world.personas.values()
        setups = {each.name: [each.prepare(relation.name)] for each in personas if each.setup}
        admissions = Admissions(
            PolicyProbe(self.connection, relation.name),
            personas,
            self._rows(relation.name, grid.key if grid else relation.key),
            setups | grids.before(tried),
            self.members,
        )
        return [admissions.reported(policy, self._place) for policy in facts.policies]

    def _place(self, policy: Policy) -> Place:
        return self.sources.places.find("policy", policy.name, policy.table)

    def _rows(self, table: str, key: Sequence[str]) -> dict[str, str]:
        """The conditions that select the rows of a table, by name; without rows that the database does not have."""
        rows = self.world.rows.get(table, {})
        return {
            name: matching({column: row[column] for column in key})
            for name, row in rows.items()
            if (table, name) not in self.world.missing and key and {*key} <= {*row}
        }
