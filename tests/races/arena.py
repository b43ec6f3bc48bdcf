"""A database in which several personas act at the same time: each session commits, and has its own thread.

Locks decide which session waits for which: no test depends on timing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import Connection

from rolecall import Persona, World
from rolecall.database.scratch import Scratch

LIMITS = "SET statement_timeout = '20s'; SET lock_timeout = '15s'; SET idle_in_transaction_session_timeout = '30s'"
PATIENCE = 25.0  # seconds that a test waits for a statement or a lock


class Racer:
    """The session of a persona. Its thread runs the statements one after the other."""

    def __init__(self, connection: Connection[Any], persona: Persona) -> None:
        self.connection, self.persona = connection, persona
        self._thread = ThreadPoolExecutor(1)
        self.pid = connection.info.backend_pid

    def begin(self, isolation: str = "READ COMMITTED") -> None:
        """Begin a transaction, and sign in for it as a request does."""
        self.run(f"BEGIN ISOLATION LEVEL {isolation}")
        for setting in self.persona.settings("POST"):
            self.run("SELECT set_config(%s, %s, true)", setting)

    def start(self, statement: str, params: Any = None) -> Future[Any]:
        """Run a statement without waiting for it. Its result is the rows, or the number of rows that it changed."""
        return self._thread.submit(self._execute, statement, params)

    def run(self, statement: str, params: Any = None) -> Any:
        """Run a statement and wait for its result. Raises psycopg's error, or TimeoutError."""
        return self.start(statement, params).result(PATIENCE)

    def _execute(self, statement: str, params: Any) -> Any:
        cursor = self.connection.execute(statement.encode(), params)
        return cursor.fetchall() if cursor.description else cursor.rowcount

    def close(self) -> None:
        """Cancel the running statement, wait for the thread, and disconnect."""
        self.connection.cancel_safe(timeout=5)
        self._thread.shutdown(wait=True)
        self.connection.close()


class Arena:
    """The database, and the sessions of the personas in it."""

    def __init__(self, scratch: Scratch, world: World) -> None:
        self.scratch, self.world = scratch, world
        self.superuser = scratch.connection

    @contextmanager
    def racers(self, *names: str) -> Iterator[list[Racer]]:
        """A session for each persona. The test must undo what they commit."""
        racers: list[Racer] = []
        try:
            for name in names:
                connection = self.scratch.run.connect(self.scratch.name)
                connection.execute(LIMITS)
                racers.append(Racer(connection, self.world.personas[name]))
            yield racers
        finally:
            for racer in racers:
                racer.close()

    def wait_until_blocked(self, racer: Racer) -> None:
        """Return when another session's lock blocks this one. Raises AssertionError after ``PATIENCE``."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.value("SELECT cardinality(pg_blocking_pids(%s)) > 0", [racer.pid]):
                return
        raise AssertionError("no lock blocked the session")

    def value(self, query: str, params: Any = None) -> Any:
        """The only value of a query, as the superuser."""
        row = self.superuser.execute(query.encode(), params).fetchone()
        assert row
        return row[0]


def sqlstate(future: Future[Any]) -> str:
    """Wait for a statement; returns its SQLSTATE, "" if it worked. Raises TimeoutError."""
    error = future.exception(PATIENCE)
    if error is None:
        return ""
    if isinstance(error, psycopg.Error):
        return str(error.sqlstate)
    raise error
