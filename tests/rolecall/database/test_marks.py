"""Marks: only databases and roles with a valid mark are dropped."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from rolecall.database import marks
from rolecall.database.cleanup import owned
from rolecall.database.marks import Mark
from rolecall.database.run import run_on
from rolecall.server import choose
from rolecall.server.choose import Server
from tests.rolecall.database.server_objects import Connection, Inventory, comment_on, execute, names

CELL = "test_notes.py::test_grid[bob's note-select-bob]"

# ------------------------------------------------------------------ databases

THEIRS = [
    "rolecall_20261124_backup",
    "rolecall_deadbeef_archive",
    "rolecall_0123abcd_migrated",
    'rolecall_0123abcd_it\'s "mine" {} %s',
    "rolecall_0123abcd",
    "rolecall",
]


def test_a_database_of_another_user_is_kept_under_any_name(
    toy: pytest.Pytester, superuser: Connection, inventory: Inventory, sweep: Callable[[], str]
) -> None:
    for name in THEIRS:
        execute(superuser, "CREATE DATABASE {}", name)
    comment_on(superuser, "DATABASE", THEIRS[1], "backed up by another tool")
    execute(superuser, "ALTER DATABASE {} WITH is_template true", THEIRS[2])
    execute(superuser, "ALTER DATABASE {} WITH allow_connections false", THEIRS[2])
    before = inventory(superuser)
    toy.runpytest_inprocess(CELL).assert_outcomes(passed=1)
    assert sweep() == "nothing to remove"
    assert inventory(superuser) == before


def test_a_database_of_another_user_is_kept_under_the_name_of_a_killed_run(
    toy: pytest.Pytester, superuser: Connection, killed_run: str, sweep: Callable[[], str]
) -> None:
    """Even if it has the name or the comment of one of ours. So is ours if its comment was changed."""
    query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
    (text,) = superuser.execute(query, [killed_run + "_main"]).fetchone() or ("",)
    assert marks.has_mark(text, marks.roles(superuser, text and system(superuser))[0].mark.token)
    execute(superuser, "CREATE DATABASE {}", killed_run + "_notes")
    execute(superuser, "CREATE DATABASE {}", killed_run + "_copied")
    comment_on(superuser, "DATABASE", killed_run + "_copied", text)
    execute(superuser, "DROP DATABASE {}", killed_run + "_main")
    execute(superuser, "CREATE DATABASE {}", killed_run + "_main")
    comment_on(superuser, "DATABASE", killed_run + "_main", text)
    comment_on(superuser, "DATABASE", killed_run + "_baseline", "I need this one")
    execute(superuser, "ALTER DATABASE {} WITH is_template false", killed_run + "_migrated")
    execute(superuser, "ALTER DATABASE {} RENAME TO {}", killed_run + "_migrated", killed_run + "_kept")
    before = {each for each in names(superuser) if each[0] == "DATABASE"}
    toy.runpytest_inprocess(CELL).assert_outcomes(passed=1)
    assert f"kept database {killed_run}_baseline: its comment was changed" in sweep()
    assert {each for each in names(superuser) if each[0] == "DATABASE"} == before


def system(connection: Connection) -> str:
    (identifier,) = connection.execute("SELECT system_identifier::text FROM pg_control_system()").fetchone() or ("",)
    return str(identifier)


def test_a_database_is_kept_as_long_as_another_session_uses_it(
    superuser: Connection, running_server: Server, killed_run: str, sweep: Callable[[], str]
) -> None:
    with psycopg.connect(running_server.conninfo.to(dbname=killed_run + "_main")) as other:
        assert f"kept database {killed_run}_main: 1 other session(s) use it" in sweep()
        assert other.execute("SELECT 1").fetchone() == (1,)
    assert f"removed database {killed_run}_main" in sweep()
    assert not [name for _, name in names(superuser) if name.startswith(killed_run)]


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER DATABASE {} WITH allow_connections false",
        "ALTER DATABASE {} WITH is_template true",
        "ALTER DATABASE {} CONNECTION LIMIT 0",
        "UPDATE pg_database SET datconnlimit = -2 WHERE datname = '{}'",  # DROP DATABASE was interrupted
        "COMMENT ON DATABASE {} IS NULL",  # the run was killed before it wrote the comment
    ],
)
def test_a_database_of_ours_is_dropped_in_any_state(
    superuser: Connection, killed_run: str, sweep: Callable[[], str], statement: str
) -> None:
    superuser.execute(statement.format(killed_run + "_main").encode())
    sweep()
    assert not [name for _, name in names(superuser) if name.startswith((killed_run, "toy_"))]


def test_each_database_is_marked_by_the_statement_that_creates_it(
    superuser: Connection, running_server: Server
) -> None:
    """The oid follows from the token. If another database has it, the run takes the next one."""
    run = run_on(choose.existing(running_server.conninfo))
    first, second, *_ = marks.database_oids(run.token, run.baseline)
    superuser.execute(f"CREATE DATABASE person OID {first}".encode())
    with owned(run):
        run.create(run.baseline)
        oid = superuser.execute("SELECT oid FROM pg_database WHERE datname = %s", [run.baseline]).fetchone()
        assert oid == (second,)
    assert {name for kind, name in names(superuser) if kind == "DATABASE"} >= {"person"}
    assert not [name for _, name in names(superuser) if name.startswith("rolecall_")]


def test_oids_are_above_those_that_the_server_chooses() -> None:
    oids = [oid for number in range(500) for oid in marks.database_oids("token", f"rolecall_x_{number}")]
    assert all(2**30 <= oid < 2**31 for oid in oids)
    assert len(set(oids)) == len(oids)
    assert set(marks.database_oids("one", "x")).isdisjoint(marks.database_oids("two", "x"))


# ------------------------------------------------------------------ roles


def altered(connection: Connection) -> None:
    connection.execute("ALTER ROLE toy_visitor LOGIN")


def configured(connection: Connection) -> None:
    connection.execute("ALTER ROLE toy_visitor SET work_mem = '1MB'")


def commented(connection: Connection) -> None:
    comment_on(connection, "ROLE", "toy_visitor", "mine now")


def used(connection: Connection) -> None:
    connection.execute("CREATE ROLE person LOGIN; GRANT toy_visitor TO person")


def owning(connection: Connection) -> None:
    connection.execute("CREATE DATABASE person OWNER toy_visitor")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (altered, "its attributes were changed"),
        (configured, "its attributes were changed"),
        (commented, None),
        (used, "it has a new member, person"),
        (owning, "it is in use: objects depend on it"),
    ],
)
@pytest.mark.usefixtures("killed_run")
def test_a_role_that_was_changed_is_kept(
    toy: pytest.Pytester,
    superuser: Connection,
    sweep: Callable[[], str],
    change: Callable[..., None],
    reason: str | None,
) -> None:
    change(superuser)
    toy.runpytest_inprocess(CELL).assert_outcomes(passed=1)
    output = sweep()
    assert [name for _, name in names(superuser) if name.startswith("toy_")] == ["toy_visitor"]
    assert output == (f"kept role toy_visitor: {reason}" if reason else "nothing to remove")


def test_a_copied_comment_is_not_a_mark(superuser: Connection, killed_run: str, sweep: Callable[[], str]) -> None:
    """Neither the comment of a run's own role, nor that of a role of the platform."""
    query = "SELECT shobj_description(%s::regrole, 'pg_authid')"
    for name in (killed_run, "toy_visitor"):
        (text,) = superuser.execute(query, [name]).fetchone() or ("",)
        execute(superuser, "CREATE ROLE {} CREATEDB", f"person's {name}")
        comment_on(superuser, "ROLE", f"person's {name}", text)
    execute(superuser, "ALTER ROLE {} RENAME TO {}", "toy_visitor", "renamed by a person")
    execute(superuser, "CREATE ROLE {}", "toy_visitor")
    comment_on(superuser, "ROLE", "toy_visitor", text)
    sweep()
    roles = {name for _, name in names(superuser)}
    assert {f"person's {killed_run}", "person's toy_visitor", "toy_visitor", "renamed by a person"} <= roles
    assert not roles & {killed_run, "toy_member", "toy_keeper", "toy_migrator"}


def test_a_mark_of_another_server_is_not_valid(superuser: Connection, killed_run: str) -> None:
    """pg_dumpall copies roles and their comments."""
    assert {role.name for role in marks.roles(superuser, system(superuser))} >= {killed_run, "toy_visitor"}
    assert marks.roles(superuser, "1") == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"rolecall": 1}',
        '{"rolecall": "made by rolecall, which drops it"}',
        '"rolecall"',
        "{",
        None,
    ],
)
def test_another_comment_is_not_a_mark(text: str | None) -> None:
    assert Mark.of(text) is None
    assert not marks.has_mark(text or "", "")


def test_a_role_that_another_session_creates_at_the_same_time_is_not_marked(
    superuser: Connection, running_server: Server
) -> None:
    run = run_on(choose.existing(running_server.conninfo))
    with owned(run):
        run.create(run.baseline)
        with run.connect(run.baseline) as connection, run.marking(connection):
            connection.execute("CREATE ROLE toy_ours")
            superuser.execute("CREATE ROLE person")
        roles = {role.name for role in marks.roles(superuser, system(superuser))}
    assert roles == {run.name, "toy_ours"}
    assert "person" in {name for _, name in names(superuser)}
    assert "toy_ours" not in {name for _, name in names(superuser)}


def test_roles_from_steps_and_scratch_databases_are_dropped(
    toy: pytest.Pytester, superuser: Connection, inventory: Inventory
) -> None:
    before = inventory(superuser)
    platform = toy.path / "platform.sql"
    platform.write_text(platform.read_text().replace("('toy_migrator', 'NOLOGIN')", "('toy_migrator', 'CREATEROLE')"))
    step = "DO $$ BEGIN CREATE ROLE toy_{0}; EXCEPTION WHEN duplicate_object THEN NULL; END $$;\n"
    (toy.path / "migrations/phase_1_notes/1_3_role.sql").write_text(step.format("step"))
    (toy.path / "more.sql").write_text(step.format("scratch"))
    with (toy.path / "baseline.sql").open("a") as file:
        file.write(step.format("base"))
    toy.makepyfile(
        test_it="""
        from pathlib import Path

        def test_it(scratch):
            scratch().execute(Path("more.sql").resolve())
        """
    )
    toy.runpytest_subprocess("test_it.py").assert_outcomes(passed=1)
    assert inventory(superuser) == before


def test_the_connected_role_owns_the_databases(superuser: Connection, running_server: Server) -> None:
    superuser.execute("CREATE ROLE toy_boss SUPERUSER LOGIN")
    run = run_on(choose.existing(running_server.conninfo.to(user="toy_boss")))
    with owned(run):
        run.create(run.baseline)
        query = "SELECT datdba::regrole::text FROM pg_database WHERE datname = %s"
        assert superuser.execute(query, [run.baseline]).fetchone() == ("toy_boss",)
    assert make_conninfo(run.conninfo) == run.conninfo.reveal()
