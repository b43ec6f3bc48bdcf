"""What verify.sql and rollback.sql set for themselves, they set back: statements after them may depend on it.

A step is different. Its settings are for the whole file, and end with its transaction.
"""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import Connection

from rolecall.database.scratch import Scratch

PHASES = (1, 2, 3, 4)
# PostgreSQL lists the settings of extensions that are loaded, and none of these.
CUSTOM = ("storage.allow_delete_query", "enorae.discard_data", "enorae.keep_others")


def settings_of(connection: Connection[Any]) -> dict[str, str]:
    """The settings of the session, by name. A custom one that does not exist is empty.

    Without lock_timeout: a rollback sets it for all locks that its transaction still takes.
    """
    custom = "SELECT name, coalesce(current_setting(name, true), '') FROM unnest(%s::text[]) AS name"
    known = connection.execute(f"SELECT name, setting FROM pg_settings UNION ALL {custom}".encode(), [list(CUSTOM)])
    return {name: value for name, value in known if name != "lock_timeout"}


@pytest.fixture
def loaded(bare: Scratch) -> Scratch:
    """The baseline, in a session that has used PL/pgSQL: the first use adds its settings."""
    bare.connection.execute("DO 'BEGIN END'")
    return bare


@pytest.mark.parametrize("number", PHASES, ids="phase {}".format)
def test_a_script_leaves_the_settings_as_they_were(loaded: Scratch, number: int) -> None:
    """The text runs as it is: rolecall's runner ends the settings of a file with the file."""
    for earlier in range(1, number + 1):
        loaded.apply(earlier)
    loaded.connection.execute("SET LOCAL ROLE postgres")
    before = settings_of(loaded.connection)
    for script in (loaded.phases[number].verify, loaded.phases[number].rollback):
        loaded.connection.execute(script.read().encode())
        assert settings_of(loaded.connection) == before, script.id
