"""The fixture of the models: the database of the test, prepared for examples."""

import pytest

from rolecall import Session, World
from tests.models.lab import Lab


@pytest.fixture
def lab(db: Session, world: World) -> Lab:
    """Runs examples in the session of the test. All of it is rolled back."""
    return Lab(db, world)
