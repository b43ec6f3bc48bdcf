"""The two databases that most tests of migrations begin with; what a test does to them is undone."""

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
