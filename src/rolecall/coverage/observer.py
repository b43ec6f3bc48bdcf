"""The observer of ``--rolecall-coverage``: functions report what ran; policies and constraints are queried."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import Connection

from rolecall.access.world import World
from rolecall.catalog import objects
from rolecall.catalog.manifest import Manifest
from rolecall.coverage import plpgsql, policies
from rolecall.coverage.constraints import ConstraintProbe
from rolecall.coverage.recorder import CoverageRecorder
from rolecall.grids.grid import Cell, Grid


class CoverageObserver:
    """Observes one process's clone, and records facts that only the database knows.

    While it exists, the functions of the clone are instrumented: they report each statement before it runs.
    """

    def __init__(
        self, connection: Connection[Any], manifest: Manifest, world: World, recorder: CoverageRecorder
    ) -> None:
        self.connection, self.world, self.recorder = connection, world, recorder
        self._facts: dict[Grid, dict[Cell, policies.Facts]] = {}
        self._bodies = plpgsql.read(connection, plpgsql.called(connection, manifest))
        for body in self._bodies:
            connection.execute(body.instrumented.encode())
        recorder.observe = ConstraintProbe(connection, manifest).observe
        recorder.column_grants = objects.tables_with_column_grants(connection)
        recorder.observe(recorder)

    def restore_functions(self) -> None:
        """Restore the functions as the migrations created them: a mutant must not depend on the observer."""
        for body in self._bodies:
            self.connection.execute(body.original.encode())

    def record_report(self, notice: psycopg.errors.Diagnostic) -> None:
        """Record what an instrumented function reports: a notice handler for its connection."""
        if fact := plpgsql.parse_report(notice.message_primary):
            self.recorder.add(*fact)

    def record_cell(self, grid: Grid, cell: Cell) -> None:
        """Record what a passing cell proves about policies and grants."""
        if grid not in self._facts:
            self._facts[grid] = policies.facts(self.connection, grid, self.world)
        for fact in self._facts[grid][cell]:
            self.recorder.add(*fact)
        if "yes" in cell.expected.split("/"):
            role = self.world.personas[cell.persona].role
            self.recorder.add("used", grid.table, cell.privilege, role)
            self.recorder.record_columns(grid.checks(cell, self.world)[0].statement, role)
