"""A database that tests take turns with, each in a transaction that is undone; replaced where that did not hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from psycopg import Connection
from psycopg.pq import TransactionStatus

from rolecall.database import Run

MARK = "SELECT set_config('rolecall.undone', 'not yet', true)"  # lost with the transaction
MARKED = "SELECT current_setting('rolecall.undone', true)"


class Lasting:
    """``clone`` makes the database, whenever one is needed."""

    def __init__(self, run: Run, clone: Callable[[], AbstractContextManager[str]]) -> None:
        self.run, self.clone = run, clone
        self._stack = ExitStack()
        self._at: tuple[str, Connection[Any]] | None = None

    @contextmanager
    def undone(self) -> Iterator[tuple[str, Connection[Any]]]:
        """The database's name and a superuser's connection, whose whole work is undone at the end of the block."""
        name, connection = self._at = self._at or self._made()
        connection.execute("BEGIN")
        connection.execute(MARK)
        try:
            yield name, connection
        finally:
            if self._was_ended(connection):
                self.close()  # something was kept in there
            else:
                connection.execute("ROLLBACK")

    def _made(self) -> tuple[str, Connection[Any]]:
        name = self._stack.enter_context(self.clone())
        return name, self._stack.enter_context(self.run.connect(name))

    def _was_ended(self, connection: Connection[Any]) -> bool:
        status = connection.info.transaction_status
        if status == TransactionStatus.INTRANS:
            return connection.execute(MARKED).fetchone() != ("not yet",)
        return status != TransactionStatus.INERROR  # which only its own rollback can end

    def close(self) -> None:
        """Close the connection, and drop the database."""
        self._at = None
        self._stack.close()
