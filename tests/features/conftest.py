"""What the features share: the application on a database that has some of the phases, and the rows of the baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from rolecall import World
from rolecall.access.world import insert
from rolecall.database.scratch import Scratch
from tests.features.application import Application

Start = Callable[[int], Application]


@pytest.fixture(scope="module")
def prepared(module_scratch: Callable[..., Scratch], world: World) -> Callable[[int], Scratch]:
    """A function that returns the database after the phases up to this one. A test gets a copy of it.

    It has the world's rows in the tables that were there before the plan, and none in the new ones.
    """

    @cache
    def prepared(last_phase: int) -> Scratch:
        database = module_scratch()
        existing = database.connection.execute("SELECT schemaname || '.' || tablename FROM pg_tables").fetchall()
        for table, _, row in world:
            if (table,) in existing and table != "storage.objects":
                database.connection.execute(insert(table, row))
        if last_phase:
            database.apply(*range(1, last_phase + 1))
        return database

    return prepared


@pytest.fixture
def start(prepared: Callable[[int], Scratch], world: World) -> Iterator[Start]:
    """A function that returns the application after the phases up to this one, on a database of its own."""
    with ExitStack() as cleanup:
        yield lambda last_phase: Application(cleanup.enter_context(prepared(last_phase).copy()), world, cleanup)


@pytest.fixture
def app(start: Start, request: pytest.FixtureRequest) -> Application:
    """The application after the phase that the test is parametrized with: see :func:`after`."""
    return start(request.param)


def after(*phases: int) -> pytest.MarkDecorator:
    """Run a test after each of these phases."""
    return pytest.mark.parametrize("app", phases, ids="after phase {}".format, indirect=True)
