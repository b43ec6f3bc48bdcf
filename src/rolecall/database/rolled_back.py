"""Blocks that are rolled back, and databases that tests can reuse because of that."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import psycopg
from psycopg.pq import TransactionStatus

from rolecall.database.run import Run
from rolecall.errors import RolecallError
from rolecall.server.connection import ServerConnection

LABEL = "rolecall_rolled_back_scratch"  # the name of the connection on the server

ENDED = (
    "the transaction was ended by COMMIT or ROLLBACK, or because the connection was closed. Its changes could have\n"
    "reached other tests, so these get a new database. Leave the transaction open, or use scratch(), which is dropped."
)


# What a rollback does not take back. psycopg forgets its own prepared statements at a ROLLBACK.
LEFT = "DEALLOCATE ALL; SELECT pg_advisory_unlock_all()"


class TransactionEndedError(RolecallError):
    """A test ended its transaction, which must stay open for the rollback: its changes may be committed."""


@contextmanager
def rolled_back(connection: ServerConnection) -> Iterator[None]:
    """A block that is rolled back: a transaction, or a savepoint in an open transaction.

    Prepared statements and advisory locks of the session end with it, and the connection has its attributes again.

    Raises TransactionEndedError at its end if the savepoint is gone. The savepoint's name is random, so that the block
    cannot create one of the same name by accident.
    """
    name = f"rolecall_{secrets.token_hex(4)}"
    if connection.info.transaction_status == TransactionStatus.IDLE:
        begin, end = f"BEGIN; SAVEPOINT {name}", "ROLLBACK"
    else:
        begin, end = f"SAVEPOINT {name}", f"RELEASE SAVEPOINT {name}"
    connection.execute(begin.encode())
    try:
        with connection.attributes_restored():
            yield
    finally:
        try:
            connection.execute(f"ROLLBACK TO SAVEPOINT {name}; {end}; {LEFT}".encode())
        except psycopg.Error:
            raise TransactionEndedError(ENDED) from None


class ReusedDatabase:
    """A database that tests use one after the other. Each test is rolled back.

    ``clone`` creates the database, and a new one after a test that could not be rolled back.
    """

    def __init__(self, run: Run, clone: Callable[[], AbstractContextManager[str]]) -> None:
        self.run, self.clone = run, clone
        self._stack = ExitStack()
        self._current: tuple[str, ServerConnection] | None = None

    @contextmanager
    def rolled_back(self) -> Iterator[tuple[str, ServerConnection]]:
        """Yields the database's name and a superuser's connection. The block is rolled back at its end.

        Raises TransactionEndedError as :func:`rolled_back` does.
        """
        name, connection = self._current = self._current or self._create()
        try:
            with rolled_back(connection):
                yield name, connection
        except TransactionEndedError:
            self.close()
            raise

    def _create(self) -> tuple[str, ServerConnection]:
        name = self._stack.enter_context(self.clone())
        return name, self._stack.enter_context(self.run.connect(name, LABEL))

    @property
    def lost(self) -> bool:
        """Whether the connection is closed."""
        return self._current is not None and self._current[1].closed

    def close(self) -> None:
        """Close the connection, and drop the database."""
        self._current = None
        self._stack.close()
