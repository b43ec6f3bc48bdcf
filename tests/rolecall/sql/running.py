"""Run an SQL text as a file, and check the connection after an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

from rolecall.errors import SqlError
from rolecall.sql import files

ROLE = "toy_migrator"
TABLE = "CREATE TABLE shop.item (id int);\n"
SESSION_OBJECTS = """
SELECT
  (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()),
  (SELECT count(*) FROM pg_proc WHERE pronamespace = pg_my_temp_schema()),
  (SELECT count(*) FROM pg_type WHERE typnamespace = pg_my_temp_schema()),
  (SELECT array_agg(name ORDER BY name) FROM pg_prepared_statements WHERE from_sql),
  (SELECT count(*) FROM pg_cursors WHERE name <> ''),
  (SELECT count(*) FROM pg_listening_channels()),
  (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())
"""


def run(connection: Connection[Any], text: str | bytes, *, role: str | None = ROLE) -> None:
    """Write a text to x.sql, and run this file."""
    path = Path("x.sql")
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    files.run(connection, path, role=role)


def refused(connection: Connection[Any], text: str | bytes, *, role: str | None = ROLE) -> SqlError:
    """Run a text that must fail, and return the error. The connection must have its former state after it."""
    before = state(connection)
    with pytest.raises(SqlError) as caught:
        run(connection, text, role=role)
    assert state(connection) == before
    return caught.value


def state(connection: Connection[Any]) -> Any:
    """The transaction's status, the roles of the session, and whether TABLE has not been run."""
    return (
        connection.info.transaction_status,
        connection.execute(
            "SELECT session_user, current_user, current_setting('role'), to_regclass('shop.item') IS NULL"
        ).fetchone(),
    )
