"""Fixtures of the tests of the functions."""

import pytest

from rolecall import World


@pytest.fixture
def customer(world: World) -> str:
    """The customer's id."""
    return world.personas["customer"].subject
