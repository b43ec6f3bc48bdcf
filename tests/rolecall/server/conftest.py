"""Servers that a test may stop or change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from rolecall import settings
from rolecall.server import choose
from rolecall.server.choose import Server


@pytest.fixture
def server_settings(pytestconfig: pytest.Config) -> settings.Settings:
    """The settings of the outer run, for a throwaway server."""
    return replace(settings.read(pytestconfig), pg_dsn=None)


@pytest.fixture
def own_server(server_settings: settings.Settings) -> Iterator[Server]:
    """A server of the test alone, which the test may stop or change."""
    with choose.running(server_settings) as server:
        yield server
