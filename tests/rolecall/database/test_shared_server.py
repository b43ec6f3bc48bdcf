"""--rolecall-pg-dsn: on a running server, rolecall changes only its own databases and roles."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rolecall.database.cleanup import owned
from rolecall.database.run import run_on
from rolecall.server.choose import Server
from tests.rolecall.database.server_objects import Connection, Inventory

CELL = "test_notes.py::test_grid[bob's note-select-bob]"


def test_a_run_leaves_the_server_unchanged(toy: pytest.Pytester, superuser: Connection, inventory: Inventory) -> None:
    before = inventory(superuser)
    toy.runpytest_inprocess().assert_outcomes(passed=41)
    assert inventory(superuser) == before


def test_a_run_with_several_processes_leaves_the_server_unchanged(
    toy: pytest.Pytester, superuser: Connection, inventory: Inventory
) -> None:
    before = inventory(superuser)
    toy.runpytest_subprocess("-n", "2").assert_outcomes(passed=41)
    assert inventory(superuser) == before


def test_a_run_with_an_error_leaves_the_server_unchanged(
    toy: pytest.Pytester, superuser: Connection, inventory: Inventory
) -> None:
    """When this step fails, the roles and both databases exist."""
    before = inventory(superuser)
    (toy.path / "migrations/phase_1_notes/1_2_count_notes.sql").write_text("SELECT nothing;\n")
    assert toy.runpytest_inprocess().ret == pytest.ExitCode.USAGE_ERROR
    assert inventory(superuser) == before


def test_databases_and_roles_of_others_are_not_changed(
    toy: pytest.Pytester, superuser: Connection, inventory: Inventory
) -> None:
    """Not even a role with the name of one of the platform, or a database with a name like those of rolecall."""
    superuser.execute("CREATE ROLE toy_member NOLOGIN CREATEDB; COMMENT ON ROLE toy_member IS 'mine'")
    superuser.execute("CREATE ROLE toy_other LOGIN")
    for name in ("rolecall", "rolecall_notes", "rolecall_0123abcd"):
        superuser.execute(f"CREATE DATABASE {name}".encode())
    superuser.execute("CREATE DATABASE rolecall_0123abcd_main OWNER toy_other")
    before = inventory(superuser)
    toy.runpytest_inprocess(CELL).assert_outcomes(passed=1)
    assert inventory(superuser) == before


def test_the_next_run_sweeps_what_a_killed_run_left(
    toy: pytest.Pytester, superuser: Connection, inventory: Inventory, kill_run: Callable[[], None]
) -> None:
    before = inventory(superuser)
    kill_run()
    assert len(inventory(superuser)) == len(before) + 8  # three databases, four roles and the run's own role
    toy.runpytest_inprocess(CELL).assert_outcomes(passed=1)
    assert inventory(superuser) == before


def test_what_a_living_run_uses_is_not_swept(
    toy: pytest.Pytester, superuser: Connection, running_server: Server, inventory: Inventory
) -> None:
    """Neither its databases nor its roles, not even a role that has no privileges yet."""
    before = inventory(superuser)
    run = run_on(running_server)
    with owned(run):
        run.create(run.baseline)
        with run.connect(run.baseline) as connection, run.marking(connection):
            connection.execute("CREATE ROLE toy_visitor NOLOGIN")
        in_use = {row[:2] for row in inventory(superuser)}
        toy.runpytest_inprocess(CELL).assert_outcomes(passed=1)
        assert in_use <= {row[:2] for row in inventory(superuser)}
    assert inventory(superuser) == before


# ------------------------------------------------------------------ the migration role


def test_a_migration_role_that_is_a_superuser_is_refused(toy: pytest.Pytester, superuser: Connection) -> None:
    superuser.execute("CREATE ROLE toy_migrator SUPERUSER")
    result = toy.runpytest_inprocess(CELL)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stderr.lines == [
        "ERROR: every role of rolecall_migration_role (toy_migrator) is a superuser on this server, and a superuser may"
        " do what the role in production may not. Add a role that is not a superuser.",
        "",
    ]


def test_the_migration_role_is_the_first_that_is_not_a_superuser(toy: pytest.Pytester, superuser: Connection) -> None:
    path = toy.path / "pytest.ini"
    path.write_text(path.read_text().replace("= toy_migrator", "= toy_boss toy_migrator toy_member"))
    toy.makepyfile(test_role="def test_role(rolecall_manifest): assert rolecall_manifest.role == 'toy_migrator'")
    superuser.execute("CREATE ROLE toy_boss SUPERUSER")
    toy.runpytest_inprocess("test_role.py").assert_outcomes(passed=1)
