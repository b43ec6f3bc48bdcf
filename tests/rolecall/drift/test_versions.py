"""A server of one version is compared with an expected state of another, without a false difference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from rolecall.catalog import snapshot
from rolecall.drift import check, expected
from rolecall.drift.check import Report
from rolecall.drift.target import Rewriter
from rolecall.server import choose
from rolecall.server.choose import Server
from rolecall.settings import Settings

# Where Debian, Ubuntu and Homebrew put the versions that no package of Python has.
OTHERS = ("/usr/lib/postgresql/{}/bin", "/opt/homebrew/opt/postgresql@{}/bin")
Run = Callable[[int], Server]


@pytest.fixture(scope="module")
def run(toy_settings: Settings) -> Iterator[Run]:
    """A function that starts a server of a version, once, or skips the test if there is none."""
    servers: dict[int, Server] = {}

    def start(version: int) -> Server:
        if version not in servers:
            folders = [Path(each.format(version)) for each in OTHERS]
            binaries = next((folder for folder in folders if (folder / "postgres").is_file()), None)
            if version not in choose.EMBEDDED and not binaries:
                pytest.skip(f"PostgreSQL {version} is not installed")
            own = {"pg": version} if version in choose.EMBEDDED else {"pg_bin": binaries}
            servers[version] = stack.enter_context(choose.running(replace(toy_settings, pg_dsn=None, **own)))
        return servers[version]

    with ExitStack() as stack:
        yield start


def compare(one: Server, other: Server, settings: Settings, sql: str = "SELECT 1") -> Report:
    """Check a database on ``other``, changed by ``sql``, against what the project makes on ``one``."""
    with (
        expected.built(one, settings) as (made, own),
        expected.built(other, settings) as (_, connection),
        connection.transaction(force_rollback=True),
    ):
        connection.execute(sql.encode())
        return check.check(made, snapshot.read(connection), rewrite=Rewriter(own))


PAIRS = pytest.mark.parametrize(
    ("one", "other"), [(16, 18), (18, 16), (16, 15), (18, 15), (16, 17), (18, 17), (17, 15), (17, 16), (17, 18)]
)


@PAIRS
def test_equal_schemas_have_no_difference(run: Run, odd_settings: Settings, one: int, other: int) -> None:
    report = compare(run(one), run(other), odd_settings)
    assert report.differences == []
    assert report.objects > 20


@PAIRS
def test_a_view_that_differs_is_noticed(run: Run, odd_settings: Settings, one: int, other: int) -> None:
    change = 'CREATE OR REPLACE VIEW "Odd Schema".v6 AS SELECT id FROM "Odd Schema"."User" WHERE id > 0 FOR UPDATE'
    report = compare(run(one), run(other), odd_settings, change)
    assert [(each.item.object, each.property) for each in report.drift] == [('"Odd Schema".v6', "query")]


def test_a_query_that_cannot_be_read_is_a_difference(toy_server: Server, toy_settings: Settings) -> None:
    with expected.built(toy_server, toy_settings) as (_, connection):
        rewrite = Rewriter(connection)
        assert rewrite("SELECT n.id FROM shop.notes n") == " SELECT id\n   FROM shop.notes n".strip()
        assert rewrite("SELECT id FROM shop.nothing") is None
        assert rewrite("SELECT 1; SELECT 2") is None
        assert rewrite("no SQL") is None
        assert connection.execute("SELECT to_regclass('shop.notes'), to_regclass('rolecall_query')").fetchone() == (
            "shop.notes",
            None,
        )
