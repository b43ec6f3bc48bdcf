"""Enorae on a server of its own, with the grids of ``tests/policies``: the start of several benchmarks."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import Connection

from rolecall import Grid, World, platforms, settings
from rolecall.database import build, load
from rolecall.database.cleanup import owned
from rolecall.database.run import Run, run_on
from rolecall.grids.grid import Cell
from rolecall.grids.probe import Check
from rolecall.server import choose
from rolecall.settings import Settings
from rolecall.worker import Worker

ROOT = Path(__file__).parent.parent
POLICIES = ROOT / "tests" / "policies"


@dataclass(frozen=True)
class Project:
    """The databases of a run, a worker with its clone of the template, and every grid."""

    run: Run
    settings: Settings
    world: World
    worker: Worker
    grids: list[Grid]

    @property
    def connection(self) -> Connection[Any]:
        """The superuser's connection to the worker's database."""
        return self.worker.connection

    def checks(self) -> list[tuple[Grid, Cell, list[Check]]]:
        """Every cell of every grid, with its checks."""
        return [(grid, cell, grid.checks(cell, self.world)) for grid in self.grids for cell in grid.cells]


def configuration(pg_bin: Path | None = None) -> Settings:
    """The settings of ``pyproject.toml``."""
    return settings.Settings(
        pg_bin=pg_bin,
        platform=platforms.NAMES["supabase"],
        baseline=ROOT / "baseline/enorae.sql",
        requires=ROOT / "baseline/requires.sql",
        migrations=ROOT / "migrations",
        migration_role=("postgres", "enorae_migrations"),
    )


@contextmanager
def project(pg_bin: Path | None = None) -> Iterator[Project]:
    """Enorae for the block: built, with a worker's clone."""
    run_settings = configuration(pg_bin)
    world: World = runpy.run_path(str(ROOT / "conftest.py"))["world_of"](1)
    with choose.running(run_settings) as server, owned(run := run_on(server)):
        build.build(run, run_settings)
        load.load(run, world)
        worker = Worker(run, run_settings, world, "bench")
        try:
            yield Project(run, run_settings, world, worker, [each.expanded(world) for each in grids()])
        finally:
            worker.close()


def grids() -> list[Grid]:
    """Every grid of ``tests/policies``."""
    return [
        value
        for path in sorted(POLICIES.glob("test_*.py"))
        for value in runpy.run_path(str(path)).values()
        if isinstance(value, Grid) and value.path == path
    ]
