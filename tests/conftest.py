"""Short names for rolecall's fixtures, in this suite alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # a run of one grid needs only some of these
    from rolecall import FindChanges, Grid, Session, World
    from rolecall.catalog.manifest import Manifest
    from rolecall.database.scratch import Scratch
    from rolecall.sql.migrations import Phase


@pytest.fixture
def db(rolecall_db: Session) -> Session:
    """A session on this worker's database; it is rolled back after the test."""
    return rolecall_db


@pytest.fixture
def changes(rolecall_changes: FindChanges) -> FindChanges:
    """A function for a ``with`` block, which finds all changes of the block."""
    return rolecall_changes


@pytest.fixture(scope="session")
def world(rolecall_world: World) -> World:
    """The personas and the named example rows."""
    return rolecall_world


@pytest.fixture(scope="session")
def manifest(rolecall_manifest: Manifest) -> Manifest:
    """What the migrations added to the catalog."""
    return rolecall_manifest


@pytest.fixture
def grids(rolecall_grids: list[Grid]) -> list[Grid]:
    """Every grid in the folder of the test."""
    return rolecall_grids


@pytest.fixture
def mismatches(rolecall_mismatches: Callable[[Grid], list[str]]) -> Callable[[Grid], list[str]]:
    """A function that tries a grid on the database as it is now; returns the ids of the cells that differ."""
    return rolecall_mismatches


@pytest.fixture
def dependencies(rolecall_dependencies: Callable[[Grid], list[str]]) -> Callable[[Grid], list[str]]:
    """A function that finds what access depends on in the database as it is now, and a grid does not name."""
    return rolecall_dependencies


@pytest.fixture
def phases(rolecall_phases: dict[int, Phase]) -> dict[int, Phase]:
    """The phases of the migrations by number."""
    return rolecall_phases


@pytest.fixture
def scratch(rolecall_scratch: Callable[..., Scratch]) -> Callable[..., Scratch]:
    """A function that creates databases for migration tests."""
    return rolecall_scratch


@pytest.fixture(scope="module")
def module_scratch(rolecall_module_scratch: Callable[..., Scratch]) -> Callable[..., Scratch]:
    """As ``scratch``, for a whole module."""
    return rolecall_module_scratch


@pytest.fixture
def rolled_back_scratch(rolecall_rolled_back_scratch: Callable[..., Scratch]) -> Callable[..., Scratch]:
    """As ``scratch``, but in a reused database, which is rolled back."""
    return rolecall_rolled_back_scratch
