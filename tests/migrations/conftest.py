"""Two databases for the tests of the migrations. Changes of a test are rolled back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from rolecall.database.scratch import Scratch

# Each test creates many objects, whose rows stay in the catalog although they are rolled back, and nothing vacuums it:
# after a few hundred tests every query of the catalog would take ten times as long.
USES_BEFORE_VACUUM = 8
VACUUM = """
VACUUM pg_attrdef, pg_attribute, pg_class, pg_constraint, pg_depend, pg_description, pg_index, pg_policy, pg_proc,
       pg_rewrite, pg_shdepend, pg_trigger, pg_type
"""


@pytest.fixture(scope="session")
def uses() -> Counter[str]:
    """How many tests have used each database."""
    return Counter()


def vacuumed(scratch: Scratch, uses: Counter[str]) -> Scratch:
    """The same database, with a small catalog."""
    uses[scratch.name] += 1
    if uses[scratch.name] % USES_BEFORE_VACUUM == 0:
        with scratch.run.connect(scratch.name) as connection:
            connection.execute(VACUUM)
    return scratch


@pytest.fixture
def bare(rolled_back_scratch: Callable[..., Scratch], uses: Counter[str]) -> Scratch:
    """A database at the baseline."""
    return vacuumed(rolled_back_scratch(), uses)


@pytest.fixture
def migrated(rolled_back_scratch: Callable[..., Scratch], uses: Counter[str]) -> Scratch:
    """A database with all phases and the world's rows."""
    return vacuumed(rolled_back_scratch(migrated=True), uses)
