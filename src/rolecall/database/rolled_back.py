"""Work that is undone, and databases that last because it is: whoever ends the transaction is caught."""

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


class EndedError(RolecallError):
    """Something ended the transaction in which it was to be undone: what it did may have been kept."""


@contextmanager
def undone(connection: Connection[Any]) -> Iterator[None]:
    """A block whose whole work on a connection is undone, in a transaction or in a savepoint of an open one.

    Raises EndedError at its end if that was not there any more: the savepoint is known by a name that nobody guesses.
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
            raise EndedError(ENDED) from None


class Lasting:
    """A database that tests take turns with, each undone. ``clone`` makes it, and another where that did not hold."""

    def __init__(self, run: Run, clone: Callable[[], AbstractContextManager[str]]) -> None:
        self.run, self.clone = run, clone
        self._stack = ExitStack()
        self._at: tuple[str, ServerConnection] | None = None

    @contextmanager
    def undone(self) -> Iterator[tuple[str, ServerConnection]]:
        """The database's name and a superuser's connection, whose whole work is undone at the end of the block.

        Raises EndedError as :func:`undone` does.
        """
        name, connection = self._at = self._at or self._made()
        try:
            with undone(connection):
                yield name, connection
        except EndedError:
            self.close()
            raise

    def _made(self) -> tuple[str, ServerConnection]:
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
