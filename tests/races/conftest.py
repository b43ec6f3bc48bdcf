"""Fixtures of the races: a database for each module, and the number of rounds.

``RELIABILITY_LONG=1`` runs more rounds.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from rolecall import World
from rolecall.database.scratch import Scratch
from tests.races.arena import Arena


@pytest.fixture(scope="module")
def arena(module_scratch: Callable[..., Scratch], world: World) -> Arena:
    """A database with all phases and the rows of the world, for one module."""
    return Arena(module_scratch(migrated=True), world)


@pytest.fixture(scope="session")
def rounds() -> range:
    """The rounds of each race."""
    return range(25 if os.environ.get("RELIABILITY_LONG") else 2)
