"""What the tests of the functions share."""

import pytest

from rolecall import World


@pytest.fixture
def customer(world: World) -> str:
    """The customer's id."""
    return world.personas["customer"].subject
