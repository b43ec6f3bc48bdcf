"""--rolecall-pg-dsn: on a server that others use, rolecall makes and drops what is its own and touches nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from rolecall.database.cleanup import owned
from rolecall.database.run import run_on
from rolecall.server.choose import Server

CELL = "test_notes.py::test_grid[bob's note-select-bob]"
Connection = psycopg.Connection[Any]
Inventory = Callable[[Connection], list[tuple[Any, ...]]]


@pytest.fixture
def owner(theirs: Server, toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection[Any]]:
    """Their connection to it, and the project set to use it."""
    assert toy.path.is_dir()
    monkeypatch.setenv("ROLECALL_PG_DSN", theirs.conninfo)
    with psycopg.connect(theirs.conninfo, autocommit=True) as connection:
        yield connection


def test_all_is_as_it_was_before(toy: pytest.Pytester, owner: Connection, inventory: Inventory) -> None:
    before = inventory(owner)
    result = toy.runpytest_inprocess()
    result.assert_outcomes(passed=41)
    assert inventory(owner) == before


def test_all_is_as_it_was_before_several_processes(
    toy: pytest.Pytester, owner: Connection, inventory: Inventory
) -> None:
    before = inventory(owner)
    toy.runpytest_subprocess("-n", "2").assert_outcomes(passed=41)
    assert inventory(owner) == before


def test_all_is_as_it_was_before_an_error(toy: pytest.Pytester, owner: Connection, inventory: Inventory) -> None:
    """Roles and both templates are there already when this step fails."""
    before = inventory(owner)
    (toy.path / "migrations/phase_1_notes/1_2_count_notes.sql").write_text("SELECT nothing;\n")
    assert toy.runpytest_inprocess().ret == pytest.ExitCode.USAGE_ERROR
    assert inventory(owner) == before


def test_what_others_have_is_not_touched(toy: pytest.Pytester, owner: Connection, inventory: Inventory) -> None:
    """Not a role of the same name, and not a database that is called nearly the same."""
    mine = {"ROLE": ["toy_member", "toy_other"], "DATABASE": ["rolecall", "rolecall_notes", "rolecall_0123abcd"]}
    owner.execute("CREATE ROLE toy_member NOLOGIN CREATEDB; COMMENT ON ROLE toy_member IS 'mine'")
    owner.execute("CREATE ROLE toy_other LOGIN")
    for name in mine["DATABASE"]:
        owner.execute(f"CREATE DATABASE {name}".encode())
    owner.execute("CREATE DATABASE rolecall_0123abcd_main OWNER toy_other")
    mine["DATABASE"].append("rolecall_0123abcd_main")
    try:
        before = inventory(owner)
        toy.runpytest_inprocess(CELL).assert_outcomes(passed=1)
        assert inventory(owner) == before
    finally:
        for name in mine["DATABASE"]:
            owner.execute(f"DROP DATABASE IF EXISTS {name}".encode())
        for name in mine["ROLE"]:
            owner.execute(f"DROP ROLE {name}".encode())


def test_what_a_killed_run_left_is_swept_by_the_next(
    toy: pytest.Pytester, owner: Connection, inventory: Inventory
) -> None:
    before = inventory(owner)
    toy.makepyfile(test_killed="import os, signal\ndef test_killed(db): os.kill(os.getpid(), signal.SIGKILL)")
    assert toy.runpytest_subprocess("test_killed.py").ret == -9
    assert len(inventory(owner)) == len(before) + 8  # three databases, four roles and the run's own
    toy.runpytest_inprocess(CELL).assert_outcomes(passed=1)
    assert inventory(owner) == before


def test_what_a_living_run_has_is_not_swept(
    toy: pytest.Pytester, owner: Connection, theirs: Server, inventory: Inventory
) -> None:
    """Neither its databases nor its roles, of which some may not be granted anything yet."""
    before = inventory(owner)
    living = run_on(theirs)
    with owned(living):
        living.create(living.baseline)
        with living.connect(living.baseline) as connection, living.marking(connection):
            connection.execute("CREATE ROLE toy_visitor NOLOGIN")
        living_needs = {row[:2] for row in inventory(owner)}
        toy.runpytest_inprocess(CELL).assert_outcomes(passed=1)
        assert living_needs <= {row[:2] for row in inventory(owner)}
    assert inventory(owner) == before


# ------------------------------------------------------------------ who may


def test_a_role_that_may_not_work_is_told_what_it_lacks(
    toy: pytest.Pytester, owner: Connection, theirs: Server
) -> None:
    owner.execute('CREATE ROLE "toy poor" LOGIN BYPASSRLS')
    try:
        dsn = make_conninfo(theirs.conninfo, user="toy poor")
        result = toy.runpytest_inprocess(f"--rolecall-pg-dsn={dsn}", CELL)
    finally:
        owner.execute('DROP ROLE "toy poor"')
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stderr.lines == [
        "ERROR: --rolecall-pg-dsn: the role toy poor lacks CREATEDB, CREATEROLE, without which it can neither make"
        " databases nor act as the personas.",
        'Have a superuser run: ALTER ROLE "toy poor" CREATEDB CREATEROLE;',
        "",
    ]


def test_a_role_that_was_given_what_it_lacked_is_enough(
    toy: pytest.Pytester, owner: Connection, theirs: Server, inventory: Inventory
) -> None:
    """It need not be a superuser."""
    owner.execute('CREATE ROLE "toy rich" LOGIN; ALTER ROLE "toy rich" CREATEDB CREATEROLE BYPASSRLS')
    try:
        before = inventory(owner)
        result = toy.runpytest_inprocess(f"--rolecall-pg-dsn={make_conninfo(theirs.conninfo, user='toy rich')}")
        assert inventory(owner) == before
    finally:
        owner.execute('DROP ROLE "toy rich"')
    result.assert_outcomes(passed=41)


def test_a_migration_role_that_is_a_superuser_is_refused(toy: pytest.Pytester, owner: Connection) -> None:
    owner.execute("CREATE ROLE toy_migrator SUPERUSER")
    try:
        result = toy.runpytest_inprocess(CELL)
    finally:
        owner.execute("DROP ROLE toy_migrator")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stderr.lines == [
        "ERROR: every role of rolecall_migration_role (toy_migrator) is a superuser here, and what a superuser may do"
        " proves nothing for the role that migrates in production. Add a name to it.",
        "",
    ]


def test_the_first_migration_role_that_is_no_superuser_is_taken(toy: pytest.Pytester, owner: Connection) -> None:
    path = toy.path / "pytest.ini"
    path.write_text(path.read_text().replace("= toy_migrator", "= toy_boss toy_migrator toy_member"))
    toy.makepyfile(test_role="def test_role(rolecall_manifest): assert rolecall_manifest.role == 'toy_migrator'")
    owner.execute("CREATE ROLE toy_boss SUPERUSER")
    try:
        toy.runpytest_inprocess("test_role.py").assert_outcomes(passed=1)
    finally:
        owner.execute("DROP ROLE toy_boss")


def test_a_server_that_does_not_answer_is_one_error(toy: pytest.Pytester) -> None:
    result = toy.runpytest_inprocess(f"--rolecall-pg-dsn=host='{toy.path}' dbname=postgres", CELL)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    told, advice = [line for line in result.stderr.lines if line]
    assert told.startswith("ERROR: --rolecall-pg-dsn does not answer: connection ")
    assert f'"{toy.path}/.s.PGSQL.5432" failed: No such file or directory' in told
    assert advice == "Start that server, mend the URL, or leave --rolecall-pg-dsn out for an embedded one."
    result.assert_outcomes()


def test_an_address_that_cannot_be_read_is_one_error(toy: pytest.Pytester) -> None:
    result = toy.runpytest_inprocess("--rolecall-pg-dsn=what is this", CELL)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    told, advice = [line for line in result.stderr.lines if line]
    assert told.startswith("ERROR: --rolecall-pg-dsn cannot be read: missing ")
    assert advice == "Give a URL (postgresql://…) or a connection string (host=… dbname=…)."
