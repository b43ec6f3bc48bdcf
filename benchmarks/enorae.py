"""Enorae built on a server of one's own, with the grids of ``tests/policies``: what several benchmarks start from."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import Connection

from rolecall import Grid, World, settings
from rolecall.database import build
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
    """A run's databases, a worker on its clone of the template, and every grid."""

    run: Run
    settings: Settings
    world: World
    worker: Worker
    grids: list[Grid]

    @property
    def connection(self) -> Connection[Any]:
        """The superuser's, on the worker's clone."""
        return self.worker.connection

    def checks(self) -> list[tuple[Grid, Cell, list[Check]]]:
        """Every cell of every grid, with the statements that it stands for."""
        return [(grid, cell, grid.checks(cell, self.world)) for grid in self.grids for cell in grid.cells]


def configuration(pg_bin: Path | None = None) -> Settings:
    """The settings of ``pyproject.toml``, as pytest would read them."""
    return settings.Settings(
        pg_bin=pg_bin,
        platform=ROOT / "baseline/supabase.sql",
        baseline=ROOT / "baseline/enorae.sql",
        requires=ROOT / "baseline/requires.sql",
        migrations=ROOT / "migrations",
        migration_role=("postgres", "enorae_migrations"),
    )


@contextmanager
def project(pg_bin: Path | None = None) -> Iterator[Project]:
    """Enorae, built and cloned, for the block."""
    asked = configuration(pg_bin)
    world: World = runpy.run_path(str(ROOT / "conftest.py"))["pytest_rolecall_world"](1)
    with choose.running(asked) as started, owned(run := run_on(started)):
        build.build(run, asked)
        build.load(run, world)
        worker = Worker(run, asked, world, "bench")
        try:
            yield Project(run, asked, world, worker, grids())
        finally:
            worker.close()


def grids() -> list[Grid]:
    """Every grid of ``tests/policies``."""
    return [
        held
        for path in sorted(POLICIES.glob("test_*.py"))
        for held in runpy.run_path(str(path)).values()
        if isinstance(held, Grid) and held.path == path
    ]
