"""What the races share: a database of the module's own, and sessions that really commit, each in a thread of its own.

Who waits for whom is told by locks, never by time: a session is let go once the server says that it waits.
``RELIABILITY_LONG=1`` runs each race many times over.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from rolecall import World
from rolecall.database.scratch import Scratch

BOUNDS = "SET statement_timeout = '20s'; SET lock_timeout = '15s'; SET idle_in_transaction_session_timeout = '30s'"
PATIENCE = 25.0  # seconds


class Racer:
    """A session of a persona's in a thread of its own: what it is told to run, it runs in order."""

    def __init__(self, connection: Connection[Any], persona: Any) -> None:
        self.connection, self.persona = connection, persona
        self._thread = ThreadPoolExecutor(1)
        self.pid = connection.info.backend_pid

    def begin(self, isolation: str = "READ COMMITTED") -> None:
        """Open a request's transaction, and sign in until it ends."""
        self.run(f"BEGIN ISOLATION LEVEL {isolation}")
        for setting in self.persona.settings("POST"):
            self.run("SELECT set_config(%s, %s, true)", setting)

    def start(self, statement: str, params: Any = None) -> Future[Any]:
        """Run a statement without waiting for it. Its result is the rows, or the number of rows that it touched."""
        return self._thread.submit(self._execute, statement, params)

    def run(self, statement: str, params: Any = None) -> Any:
        """Run a statement and wait for it. Raises psycopg's error, or TimeoutError."""
        return self.start(statement, params).result(PATIENCE)

    def _execute(self, statement: str, params: Any) -> Any:
        cursor = self.connection.execute(statement.encode(), params)
        return cursor.fetchall() if cursor.description else cursor.rowcount

    def close(self) -> None:
        """End the session, whatever it does, and wait for its thread."""
        self.connection.cancel_safe(timeout=5)
        self._thread.shutdown(wait=True)
        self.connection.close()


class Arena:
    """A database in which people race."""

    def __init__(self, scratch: Scratch, world: World) -> None:
        self.scratch, self.world = scratch, world
        self.superuser = scratch.connection

    @contextmanager
    def racers(self, *names: str) -> Iterator[list[Racer]]:
        """A session for each persona. What they leave is taken away by the test's own hand."""
        racers: list[Racer] = []
        try:
            for name in names:
                connection = self.scratch.run.connect(self.scratch.name)
                connection.execute(BOUNDS)
                racers.append(Racer(connection, self.world.personas[name]))
            yield racers
        finally:
            for racer in racers:
                racer.close()

    def wait_until_blocked(self, racer: Racer) -> None:
        """Return once the server says that a session waits for a lock. Raises AssertionError if it never does."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.value("SELECT cardinality(pg_blocking_pids(%s)) > 0", [racer.pid]):
                return
        raise AssertionError("nobody made it wait")

    def value(self, query: str, params: Any = None) -> Any:
        """The only value of a query of the superuser's."""
        row = self.superuser.execute(query.encode(), params).fetchone()
        assert row
        return row[0]


@pytest.fixture(scope="module")
def arena(module_scratch: Callable[..., Scratch], world: World) -> Arena:
    """A database with all phases and the world's rows, of the module's own."""
    return Arena(module_scratch(migrated=True), world)


@pytest.fixture(scope="session")
def rounds() -> range:
    """How often a race is run."""
    return range(25 if os.environ.get("RELIABILITY_LONG") else 2)


@pytest.fixture(scope="session")
def sqlstate() -> Callable[[Future[Any]], str]:
    """A function that waits for a statement and gives its SQLSTATE, "" if it worked."""

    def sqlstate(future: Future[Any]) -> str:
        try:
            future.result(PATIENCE)
        except psycopg.Error as error:
            return str(error.sqlstate)
        return ""

    return sqlstate
