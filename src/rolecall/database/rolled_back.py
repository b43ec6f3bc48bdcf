"""Work that is rolled back, and databases that tests reuse because of it; a test that ends the transaction fails."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.pq import TransactionStatus

from rolecall.database.run import Run
from rolecall.errors import RolecallError
from rolecall.server.connection import ServerConnection

ENDED = (
    "the transaction was ended (by COMMIT or ROLLBACK, or by closing the connection): what was done in it could have\n"
    "reached other tests. They have a new database now. Leave the transaction open, or use scratch(), which is dropped."
)


class TransactionEndedError(RolecallError):
    """A test ended the transaction that was to be rolled back: what it did may have been committed."""


@contextmanager
def rolled_back(connection: Connection[Any]) -> Iterator[None]:
    """A block that is rolled back, in a transaction of its own or to a savepoint of an open one.

    Raises TransactionEndedError at its end if the savepoint does not exist any more; its name cannot be guessed.
    """
    name = f"rolecall_{secrets.token_hex(4)}"
    if connection.info.transaction_status == TransactionStatus.IDLE:
        begin, end = f"BEGIN; SAVEPOINT {name}", "ROLLBACK"
    else:
        begin, end = f"SAVEPOINT {name}", f"RELEASE SAVEPOINT {name}"
    connection.execute(begin.encode())
    try:
        yield
    finally:
        try:
            connection.execute(f"ROLLBACK TO SAVEPOINT {name}; {end}".encode())
        except psycopg.Error:
            raise TransactionEndedError(ENDED) from None


class ReusedDatabase:
    """A database that tests use one after the other, each rolled back.

    ``clone`` creates it, and creates it again after a test that could not be rolled back.
    """

    def __init__(self, run: Run, clone: Callable[[], AbstractContextManager[str]]) -> None:
        self.run, self.clone = run, clone
        self._stack = ExitStack()
        self._at: tuple[str, ServerConnection] | None = None

    @contextmanager
    def rolled_back(self) -> Iterator[tuple[str, ServerConnection]]:
        """The database's name and a superuser's connection, which is rolled back at the end of the block.

        Raises TransactionEndedError as :func:`rolled_back` does.
        """
        name, connection = self._at = self._at or self._create()
        try:
            with rolled_back(connection):
                yield name, connection
        except TransactionEndedError:
            self.close()
            raise

    def _create(self) -> tuple[str, ServerConnection]:
        name = self._stack.enter_context(self.clone())
        return name, self._stack.enter_context(self.run.connect(name))

    @property
    def lost(self) -> bool:
        """Whether the connection is gone."""
        return self._at is not None and self._at[1].closed

    def close(self) -> None:
        """Close the connection, and drop the database."""
        self._at = None
        self._stack.close()
