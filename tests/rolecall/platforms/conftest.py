"""Databases with a platform of the package."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

import pytest
from psycopg import Connection

from rolecall import platforms, settings
from rolecall.database import build
from rolecall.database.cleanup import owned
from rolecall.database.run import run_on
from rolecall.server import choose
from rolecall.server.choose import Server
from rolecall.settings import Settings

Open = Callable[..., Connection[Any]]


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config) -> Iterator[Server]:
    """A server of these tests alone, since roles belong to a whole server. It has the version of the outer run."""
    with choose.running(replace(settings.read(pytestconfig), pg_dsn=None)) as server:
        yield server


@pytest.fixture(scope="session")
def built(server: Server) -> Iterator[Open]:
    """A function that builds a database with a platform once, and returns the superuser's connection to it."""
    connections: dict[tuple[str, str], Connection[Any]] = {}
    with ExitStack() as stack:

        def build_platform(name: str, regime: str = "revoked") -> Connection[Any]:
            if (name, regime) not in connections:
                run = run_on(server)
                stack.enter_context(owned(run))
                build.build(run, replace(Settings(), platform=platforms.NAMES[name], default_privileges=regime))
                connections[name, regime] = stack.enter_context(closing(run.connect(run.template)))
            return connections[name, regime]

        yield build_platform


@pytest.fixture
def open_platform(built: Open) -> Iterator[Open]:
    """A function that returns a connection to a platform, in a transaction that is rolled back after the test."""
    with ExitStack() as stack:

        def opened(name: str = "supabase", regime: str = "revoked") -> Connection[Any]:
            connection = built(name, regime)
            stack.enter_context(connection.transaction(force_rollback=True))
            return connection

        yield opened


@pytest.fixture
def supabase(open_platform: Open) -> Connection[Any]:
    """A superuser's connection to a database with the stand-in for Supabase, rolled back after the test."""
    return open_platform()


@pytest.fixture
def migration_role(server: Server) -> str:
    """The role that runs the migrations on the stand-in for Supabase."""
    supabase = replace(settings.Settings(), platform=platforms.NAMES["supabase"])
    role = build.migration_role(run_on(server), supabase)
    assert role
    return role
