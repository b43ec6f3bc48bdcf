"""Databases for the tests of the migrations. Changes of a test are rolled back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from rolecall.database.rolled_back import rolled_back
from rolecall.database.scratch import Scratch
from rolecall.errors import SqlError
from tests.migrations.helpers import roll_back_to

Prepare = Callable[[Scratch], None]


@pytest.fixture
def bare(rolled_back_scratch: Callable[..., Scratch]) -> Scratch:
    """A database at the baseline."""
    return rolled_back_scratch()


@pytest.fixture
def migrated(rolled_back_scratch: Callable[..., Scratch]) -> Scratch:
    """A database with all phases and the world's rows."""
    return rolled_back_scratch(migrated=True)


class Stages:
    """Databases of a module, by their names. Each is prepared at the first request; after that, it takes no time."""

    def __init__(self, create: Callable[..., Scratch]) -> None:
        self._create = create
        self._databases: dict[str, Scratch] = {}

    def get(self, name: str, prepare: Prepare, *, migrated: bool = False) -> Scratch:
        """The database of this name. ``prepare`` is called with a new one."""
        if name not in self._databases:
            database = self._create(migrated=migrated)
            prepare(database)
            self._databases[name] = database
        return self._databases[name]


@pytest.fixture(scope="module")
def stages(module_scratch: Callable[..., Scratch]) -> Stages:
    return Stages(module_scratch)


@pytest.fixture
def after(stages: Stages) -> Iterator[Callable[..., Scratch]]:
    """A function: ``after(1, 3)`` is a database at the baseline with these phases, and without rows in their tables."""
    with ExitStack() as stack:

        def after(*phases: int) -> Scratch:
            database = stages.get(f"after {phases}", lambda new: new.apply(*phases) if phases else None)
            stack.enter_context(rolled_back(database.connection))
            return database

        yield after


@pytest.fixture
def down_to(stages: Stages) -> Iterator[Callable[[int], Scratch]]:
    """A function: ``down_to(2)`` is a database with the phases 1 and 2 and their rows, after a rollback of 4 and 3."""
    with ExitStack() as stack:

        def down_to(number: int) -> Scratch:
            database = stages.get(f"down to {number}", lambda new: prepare(new, number), migrated=True)
            stack.enter_context(rolled_back(database.connection))
            return database

        def prepare(database: Scratch, number: int) -> None:
            with database.connection.transaction():
                roll_back_to(database, number)

        yield down_to


@pytest.fixture
def without_step(stages: Stages) -> Iterator[Callable[[int, str], Scratch]]:
    """A function: ``without_step(1, "1.4")`` is a database on which phase 1 was applied, and its step 1.4 stopped."""
    with ExitStack() as stack:

        def without_step(phase: int, step: str) -> Scratch:
            database = stages.get(f"without {step}", lambda new: prepare(new, phase, step))
            stack.enter_context(rolled_back(database.connection))
            return database

        def prepare(database: Scratch, phase: int, number: str) -> None:
            for step in database.phases[phase].steps:
                if str(step).split()[0] != number:
                    with suppress(SqlError):  # a step of phase 3 stops without phase 1
                        database.execute(step.path)

        yield without_step
