"""An application that a test runs connects to a scratch database by itself."""

from __future__ import annotations

import pytest

from tests.rolecall.conftest import Guarded

TEST = """
import psycopg


def test_connect(scratch):
    database = scratch(migrated=True)
    print("shown:", database.conninfo)
    with psycopg.connect(database.conninfo) as connection:
        connection.execute("INSERT INTO shop.notes VALUES (3, 'alice', 'committed')")
    assert database.connection.execute("SELECT current_database() FROM shop.notes WHERE id = 3").fetchone() == (
        database.name,
    )
    assert database.connection.execute("SELECT count(*) FROM shop.notes").fetchone() == (3,)
"""


def test_the_connection_string_of_a_database(toy: pytest.Pytester) -> None:
    toy.makepyfile(test_connect=TEST)
    toy.runpytest_subprocess("-n", "0", "test_connect.py").assert_outcomes(passed=1)


def test_it_has_the_password_and_does_not_show_it(
    toy: pytest.Pytester, guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLECALL_PG_DSN", guarded.url())
    toy.makepyfile(test_connect=TEST)
    result = toy.runpytest_subprocess("-n", "0", "-s", "test_connect.py")
    result.assert_outcomes(passed=1)
    assert "password=***" in guarded.shown(result)
