"""The two databases that most tests of migrations begin with; what a test does to them is undone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rolecall.database.scratch import Scratch


@pytest.fixture
def bare(undone_scratch: Callable[..., Scratch]) -> Scratch:
    """A database at the baseline."""
    return undone_scratch()


@pytest.fixture
def migrated(undone_scratch: Callable[..., Scratch]) -> Scratch:
    """A database with all phases and the world's rows."""
    return undone_scratch(migrated=True)
