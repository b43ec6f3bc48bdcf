"""The toy project and a schema of odd names: their settings, and what their SQL makes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from rolecall.catalog import snapshot
from rolecall.drift import check, expected
from rolecall.drift.check import Report
from rolecall.drift.expected import Expected
from rolecall.server.choose import Server
from rolecall.server.connection import ServerConnection
from rolecall.settings import Settings
from tests.rolecall.conftest import lay_out, settings_of, write_phase

ODD = Path(__file__).with_name("odd.sql")


@pytest.fixture(scope="session")
def toy_settings(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of the toy project."""
    folder = tmp_path_factory.mktemp("toy")
    lay_out(folder)
    return settings_of(pytestconfig, folder)


@pytest.fixture(scope="session")
def odd_settings(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of a project with odd names, whose migrations run as the superuser."""
    folder = tmp_path_factory.mktemp("odd")
    lay_out(folder)
    (folder / "baseline.sql").write_text('CREATE SCHEMA "Odd Schema"; CREATE TABLE "Odd Schema"."Old" (id int);')
    shutil.rmtree(folder / "migrations")
    write_phase(folder, ODD.read_text())
    return replace(settings_of(pytestconfig, folder), migration_role=())


@dataclass(frozen=True)
class Project:
    """A database with all steps of a project, and what each step makes."""

    made: Expected = field(repr=False)
    connection: ServerConnection

    def check(self, sql: str = "SELECT 1", *, personas: tuple[str, ...] = (), phase: int | None = None) -> Report:
        """Change the database as the superuser, check it, and roll the change back."""
        with self.connection.transaction(force_rollback=True):
            self.connection.execute(sql.encode())
            return check.check(self.made, snapshot.read(self.connection), personas=personas, phase=phase)


@contextmanager
def project(server: Server, settings: Settings) -> Iterator[Project]:
    """The project with these settings, on a server."""
    with expected.built(server, settings) as (made, connection):
        yield Project(made, connection)


@pytest.fixture(scope="module")
def toy_project(toy_server: Server, toy_settings: Settings) -> Iterator[Project]:
    """The toy project with its two steps."""
    with project(toy_server, toy_settings) as built:
        yield built


@pytest.fixture(scope="module")
def odd_project(toy_server: Server, odd_settings: Settings) -> Iterator[Project]:
    """The project with odd names."""
    with project(toy_server, odd_settings) as built:
        yield built
