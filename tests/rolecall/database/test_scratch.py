"""Scratch databases: an application that a test runs connects by itself, and copies are databases of their own."""

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


def test_a_copy_has_what_was_committed(toy: pytest.Pytester) -> None:
    """Each copy has the rows, phases and methods of the original, and none of the changes of another copy."""
    toy.makepyfile(
        test_copy="""
import psycopg
import pytest


def notes(database):
    return database.connection.execute("SELECT id FROM shop.notes ORDER BY id").fetchall()


def test_copies(scratch):
    original = scratch(migrated=True)
    original.connection.execute("INSERT INTO shop.notes VALUES (3, 'alice', 'committed')")
    schema = original.dump()
    for _ in ("first", "second"):
        with original.copy() as copy:
            assert copy.name != original.name
            assert notes(copy) == [(1,), (2,), (3,)]
            assert (copy.dump(), copy.phases, copy.role) == (schema, original.phases, original.role)
            copy.connection.execute("DELETE FROM shop.notes")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(copy.conninfo)
    assert original.connection.closed
"""
    )
    toy.runpytest_subprocess("-n", "0", "test_copy.py").assert_outcomes(passed=1)
