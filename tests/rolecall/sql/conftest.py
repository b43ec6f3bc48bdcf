"""Connections on which SQL files run: in a transaction, or in autocommit mode."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection
from psycopg.conninfo import make_conninfo

from rolecall.worker import Worker
from tests.rolecall.sql.running import state


@pytest.fixture
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder during the test: an error names the files in it without a folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def connection(toy_worker: Worker) -> Connection[Any]:
    """A connection in a transaction that is rolled back, as tests of migrations have it."""
    toy_worker.connection.execute("GRANT CREATE, USAGE ON SCHEMA shop TO toy_migrator")
    return toy_worker.connection


@pytest.fixture(scope="module")
def database(toy_built: Worker) -> Iterator[Connection[Any]]:
    """A connection to a scratch database of the module."""
    with toy_built.scratch(migrated=False) as scratch:
        scratch.connection.execute("GRANT CREATE, USAGE ON SCHEMA shop TO toy_migrator")
        yield scratch.connection


@pytest.fixture
def autocommit_connection(database: Connection[Any]) -> Iterator[Connection[Any]]:
    """A connection without a transaction, as the build of the databases has it. Its state must stay the same."""
    before = state(database)
    yield database
    assert state(database) == before


@pytest.fixture(params=["in a transaction", "autocommit"])
def either_connection(request: pytest.FixtureRequest) -> Connection[Any]:
    """Both connections, one after the other."""
    name = "autocommit_connection" if request.param == "autocommit" else "connection"
    fixture: Connection[Any] = request.getfixturevalue(name)
    return fixture


@pytest.fixture
def plain_connection(toy_built: Worker, database: Connection[Any]) -> Iterator[Connection[Any]]:
    """As with --rolecall-pg-dsn: a role that may become the migration role and another role, but no superuser."""
    database.execute("CREATE ROLE toy_runner LOGIN; GRANT toy_migrator, toy_visitor TO toy_runner")
    try:
        conninfo = make_conninfo(toy_built.run.conninfo, dbname=database.info.dbname, user="toy_runner")
        with psycopg.connect(conninfo, autocommit=True) as connection:
            yield connection
    finally:
        database.execute("DROP ROLE toy_runner")
