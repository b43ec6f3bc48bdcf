"""rolecall: its grids, and the verify.sql of the migrations. ``league/behaviour.py`` runs the whole suite."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from league.lab import Database
from league.tools.tool import Tool
from rolecall.access.custom_settings import custom_settings, initialize
from rolecall.errors import RolecallError, SqlError
from rolecall.grids.outcomes import GridOutcomes
from rolecall.grids.probe import prepare
from rolecall.sql import files, migrations


class Grids(Tool):
    """Every cell of every grid of ``tests/policies``."""

    name = "rolecall, grids alone"
    package = ""
    made_for = "who may do what with which row: it signs in as each persona and tries"
    compares_with = "the grids, written by hand"
    is_clean = True
    commands = ("the cells of pytest tests/policies",)

    def findings(self, database: Database) -> Iterator[str]:
        project = self.lab.project
        with project.run.connect(database.name) as connection:
            initialize(connection, custom_settings(connection))
            prepare(connection)
            outcomes = GridOutcomes(connection, project.world)
            for grid in sorted(project.grids, key=lambda grid: grid.table not in database.concerns):
                try:
                    failing = outcomes.try_grid(grid)
                except (RolecallError, psycopg.Error) as error:  # an error is as red as a failure
                    yield f"{grid.table}: {error}"
                    return
                for cell in failing:
                    yield f"{grid.table} {cell.id}"


class VerifyScripts(Tool):
    """The verify.sql of each phase, as the migration role."""

    name = "verify.sql alone"
    package = ""
    made_for = "whether a database is what the migrations make, after they were applied"
    compares_with = "the text of the catalog, written into verify.sql"
    is_clean = True
    commands = ("psql -1 -f verify.sql, for each phase",)

    def findings(self, database: Database) -> Iterator[str]:
        folder = self.lab.project.settings.migrations
        assert folder
        with self.lab.run.connect(database.name) as connection:
            for phase in migrations.read(folder):
                try:
                    files.run(connection, phase.verify.path, role=self.lab.role)
                except SqlError as error:
                    yield f"{phase.verify.id}: {error}"
