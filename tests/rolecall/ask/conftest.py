"""The toy project, to ask questions about."""

from __future__ import annotations

import runpy
from collections.abc import Callable

import pytest

from rolecall import World
from rolecall.ask.project import Project
from rolecall.grids.grid import Grid
from rolecall.worker import Worker

Ask = Callable[..., Project]


def grids_of(worker: Worker) -> dict[str, Grid]:
    """The grid of the toy project."""
    assert worker.settings.migrations
    path = worker.settings.migrations.parent / "test_notes.py"
    grid: Grid = runpy.run_path(str(path))["test_grid"]
    return {"test_notes.py::test_grid": grid}


@pytest.fixture
def toy_project(toy_worker: Worker) -> Project:
    """The toy project. What a test changes is rolled back."""
    return Project(toy_worker, toy_worker.world, grids_of(toy_worker), toy_worker.settings)


@pytest.fixture
def ask(project: Callable[[str, World], Worker]) -> Ask:
    """A function that builds a project of one migration and a world, without grids."""

    def create(sql: str, world: World) -> Project:
        worker = project(sql, world)
        return Project(worker, world, {}, worker.settings)

    return create
