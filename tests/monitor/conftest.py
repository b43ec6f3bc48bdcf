"""What the tests of monitor.sql share: the file, and its answers on a database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from psycopg import Connection

from rolecall.settings import read as read_settings


class Answer(NamedTuple):
    """What monitor.sql says about one thing. An empty advice means that all is well."""

    value: str | None
    advice: str


Answers = dict[tuple[str, str, str], Answer]  # by topic, object and measure
Monitor = Callable[[Connection[Any]], Answers]


@pytest.fixture
def monitor_file(pytestconfig: pytest.Config) -> Path:
    """The file ``monitor.sql`` of the migrations that are tested."""
    folder = read_settings(pytestconfig).migrations
    assert folder
    return folder / "monitor.sql"


@pytest.fixture
def monitor(monitor_file: Path) -> Monitor:
    """A function that runs monitor.sql as Supabase's SQL editor does, in one message, and returns the last result.

    The transaction is READ ONLY: a statement that writes fails.
    """

    def answers(connection: Connection[Any]) -> Answers:
        connection.execute("SELECT pg_stat_force_next_flush()")
        connection.execute("SELECT pg_stat_clear_snapshot()")
        with connection.transaction(force_rollback=True):
            connection.execute("SET TRANSACTION READ ONLY")
            cursor = connection.execute(monitor_file.read_bytes())
            while cursor.nextset():
                pass
            rows = cursor.fetchall()
        found = {(topic, name, measure): Answer(value, advice) for topic, name, measure, value, advice in rows}
        assert len(found) == len(rows) > 0
        return found

    return answers
