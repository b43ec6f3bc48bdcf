"""Two databases for the tests of the migrations. Changes of a test are rolled back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rolecall.database.scratch import Scratch


@pytest.fixture
def bare(rolled_back_scratch: Callable[..., Scratch]) -> Scratch:
    """A database at the baseline."""
    return rolled_back_scratch()


@pytest.fixture
def migrated(rolled_back_scratch: Callable[..., Scratch]) -> Scratch:
    """A database with all phases and the world's rows."""
    return rolled_back_scratch(migrated=True)
