"""Databases with a small platform of their own, into which dumps are loaded: they need stand-ins for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

from rolecall import settings
from rolecall.database import build
from rolecall.database.cleanup import owned
from rolecall.database.run import Run, run_on
from rolecall.dump import loading
from rolecall.dump.left_out import LeftOut
from rolecall.errors import SqlError
from rolecall.server.choose import Server
from rolecall.sql import files
from tests.rolecall.dump.texts import ROLE

PLATFORM = Path(__file__).with_name("platform.sql")


@pytest.fixture(scope="module")
def platform(toy_server: Server) -> Iterator[Run]:
    """A run whose baseline is the platform."""
    run = run_on(toy_server)
    with owned(run):
        build.build(run, replace(settings.Settings(), platform=PLATFORM, migration_role=(ROLE,)))
        yield run


@pytest.fixture
def connection(platform: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection[Any]]:
    """A superuser's connection to its database, in a transaction that is rolled back. The current folder is empty."""
    monkeypatch.chdir(tmp_path)
    with closing(platform.connect(platform.baseline)) as connection, connection.transaction(force_rollback=True):
        yield connection


Load = Callable[..., list[LeftOut]]


@pytest.fixture
def load(connection: Connection[Any]) -> Load:
    """A function that loads a text as dump.sql, and returns what was left out."""

    def load(text: str | bytes, role: str | None = ROLE) -> list[LeftOut]:
        path = Path("dump.sql")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return loading.load(connection, path, files.read(path), role)

    return load


@pytest.fixture
def refused(load: Load, connection: Connection[Any]) -> Callable[..., list[str]]:
    """A function that loads a text which must fail, and returns the lines of the error. Nothing of it was loaded."""
    count = "SELECT (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_proc), (SELECT count(*) FROM pg_roles)"

    def refused(text: str | bytes, role: str | None = ROLE) -> list[str]:
        before = connection.execute(count).fetchone()
        with pytest.raises(SqlError) as caught:
            load(text, role)
        assert connection.execute(count).fetchone() == before
        return str(caught.value).splitlines()

    return refused
