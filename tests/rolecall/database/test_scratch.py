"""Scratch databases: an application that a test runs connects by itself, and copies are databases of their own."""

from __future__ import annotations

import pytest

from rolecall.server.choose import Server
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


CREATE_ROLES = "CREATE ROLE toy_clerk NOLOGIN; CREATE USER toy_boss; GRANT SELECT ON shop.notes TO toy_clerk;"
APPLY = """
def test_apply(scratch):
    database = scratch()
    database.apply(1)
    allowed = "SELECT has_table_privilege('toy_clerk', 'shop.notes', 'SELECT')"
    assert database.connection.execute(allowed).fetchone() == (True,)
"""


@pytest.fixture
def with_roles(toy: pytest.Pytester, running_server: Server, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """The toy project, with a step that creates roles."""
    monkeypatch.setenv("ROLECALL_PG_DSN", running_server.conninfo)
    with (toy.path / "platform.sql").open("a") as file:
        file.write("ALTER ROLE toy_migrator CREATEROLE;")
    (toy.path / "migrations/phase_1_notes/1_3_roles.sql").write_text(CREATE_ROLES)
    return toy


def test_a_step_that_creates_a_role_can_be_applied_again(with_roles: pytest.Pytester) -> None:
    """The server has the role since the step ran in the template: a role belongs to all databases."""
    with_roles.makepyfile(test_apply=APPLY)
    with_roles.runpytest_subprocess("-n", "0", "test_apply.py").assert_outcomes(passed=1)


def test_a_role_that_two_steps_create_is_an_error(with_roles: pytest.Pytester) -> None:
    (with_roles.path / "migrations/phase_1_notes/1_4_again.sql").write_text("CREATE ROLE toy_clerk;")
    result = with_roles.runpytest_subprocess("-n", "0")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(['*1_4_again.sql:1:1: role "toy_clerk" already exists (42710)'])
