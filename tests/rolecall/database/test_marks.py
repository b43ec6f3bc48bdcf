"""Only what carries our mark is dropped: whatever a person has made, named, renamed or copied, stays."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rolecall.database import marks
from rolecall.database.cleanup import owned
from rolecall.database.marks import Mark
from rolecall.database.run import run_on
from rolecall.server import choose
from rolecall.server.choose import Server

CELL = "test_notes.py::test_grid[bob's note-select-bob]"
Inventory = Callable[[psycopg.Connection[Any]], list[tuple[Any, ...]]]
Guarded = Any  # of conftest.py


@pytest.fixture
def owner(theirs: Server, toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection[Any]]:
    """Their connection to it, and the project set to use it; what a test makes there is dropped."""
    assert toy.path.is_dir()
    monkeypatch.setenv("ROLECALL_PG_DSN", theirs.conninfo)
    with psycopg.connect(theirs.conninfo, autocommit=True) as connection:
        before = names(connection)
        yield connection
        new = names(connection) - before
        for kind, name in sorted(new):  # databases before roles
            if kind == "DATABASE":
                do(connection, "ALTER DATABASE {} WITH is_template false", name)
            do(connection, "DROP " + kind + " {}", name)


def names(connection: psycopg.Connection[Any]) -> set[tuple[str, str]]:
    query = "SELECT 'DATABASE', datname FROM pg_database UNION ALL SELECT 'ROLE', rolname FROM pg_roles"
    return set(connection.execute(query).fetchall())


def do(connection: psycopg.Connection[Any], statement: str, *names: str) -> None:
    """Run a statement with names in it."""
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def comment(connection: psycopg.Connection[Any], kind: str, name: str, text: str) -> None:
    connection.execute(sql.SQL("COMMENT ON " + kind + " {} IS {}").format(sql.Identifier(name), sql.Literal(text)))


@pytest.fixture
def killed(toy: pytest.Pytester, owner: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a run that was killed, and of which databases and roles are there."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # the outer run's worker is not the inner one's
    toy.makepyfile(test_killed="import os, signal\ndef test_killed(db): os.kill(os.getpid(), signal.SIGKILL)")
    before = names(owner)
    assert toy.runpytest_subprocess("test_killed.py").ret == -9
    (run,) = {name for kind, name in names(owner) - before if kind == "ROLE" and name.startswith("rolecall_")}
    assert {name for kind, name in names(owner) - before if kind == "DATABASE"} == {
        f"{run}_{name}" for name in ("baseline", "migrated", "main")
    }
    return run


def swept(toy: pytest.Pytester) -> str:
    """What ``rolecall sweep`` prints."""
    done = toy.run(sys.executable, "-m", "rolecall", "sweep")
    assert done.ret == 0, done.stderr.str()
    return done.stdout.str()


# ------------------------------------------------------------------ databases

THEIRS = [
    "rolecall_20261124_backup",
    "rolecall_deadbeef_archive",
    "rolecall_0123abcd_migrated",
    'rolecall_0123abcd_it\'s "mine" {} %s',
    "rolecall_0123abcd",
    "rolecall",
]


def test_a_database_of_a_person_stays_under_any_name(
    toy: pytest.Pytester, owner: psycopg.Connection[Any], inventory: Inventory
) -> None:
    for name in THEIRS:
        do(owner, "CREATE DATABASE {}", name)
    comment(owner, "DATABASE", THEIRS[1], "backed up by another tool")
    do(owner, "ALTER DATABASE {} WITH is_template true", THEIRS[2])
    do(owner, "ALTER DATABASE {} WITH allow_connections false", THEIRS[2])
    before = inventory(owner)
    toy.runpytest_inprocess(CELL).assert_outcomes(passed=1)
    assert swept(toy) == "nothing was left behind"
    assert inventory(owner) == before


def test_a_database_of_a_person_stays_under_the_name_of_a_killed_run(
    toy: pytest.Pytester, owner: psycopg.Connection[Any], killed: str
) -> None:
    """Also one that was given the name of one of ours, or its comment; and ours, if a person has made it his own."""
    ours = owner.execute(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [killed + "_main"]
    )
    (text,) = ours.fetchone() or ("",)
    assert marks.has_mark(text, marks.roles(owner, text and system(owner))[0].mark.token)
    do(owner, "CREATE DATABASE {}", killed + "_notes")
    do(owner, "CREATE DATABASE {}", killed + "_copied")
    comment(owner, "DATABASE", killed + "_copied", text)
    do(owner, "DROP DATABASE {}", killed + "_main")
    do(owner, "CREATE DATABASE {}", killed + "_main")
    comment(owner, "DATABASE", killed + "_main", text)
    comment(owner, "DATABASE", killed + "_baseline", "I need this one")
    do(owner, "ALTER DATABASE {} WITH is_template false", killed + "_migrated")
    do(owner, "ALTER DATABASE {} RENAME TO {}", killed + "_migrated", killed + "_kept")
    before = {each for each in names(owner) if each[0] == "DATABASE"}
    toy.runpytest_inprocess(CELL).assert_outcomes(passed=1)
    assert f"left database {killed}_baseline: somebody has put a comment on it" in swept(toy)
    assert {each for each in names(owner) if each[0] == "DATABASE"} == before


def system(connection: psycopg.Connection[Any]) -> str:
    (identifier,) = connection.execute("SELECT system_identifier::text FROM pg_control_system()").fetchone() or ("",)
    return str(identifier)


def test_a_database_that_somebody_uses_stays_while_he_does(
    toy: pytest.Pytester, owner: psycopg.Connection[Any], theirs: Server, killed: str
) -> None:
    with psycopg.connect(theirs.conninfo.to(dbname=killed + "_main")) as user:
        assert f"left database {killed}_main: 1 other session(s) use it" in swept(toy)
        assert user.execute("SELECT 1").fetchone() == (1,)
    assert f"removed database {killed}_main" in swept(toy)
    assert not [name for _, name in names(owner) if name.startswith(killed)]


@pytest.mark.parametrize(
    "state",
    [
        "ALTER DATABASE {} WITH allow_connections false",
        "ALTER DATABASE {} WITH is_template true",
        "ALTER DATABASE {} CONNECTION LIMIT 0",
        "UPDATE pg_database SET datconnlimit = -2 WHERE datname = '{}'",  # DROP DATABASE was interrupted
        "COMMENT ON DATABASE {} IS NULL",  # the run was killed before it put one there
    ],
)
def test_ours_goes_in_whatever_state_it_is(
    toy: pytest.Pytester, owner: psycopg.Connection[Any], killed: str, state: str
) -> None:
    owner.execute(state.format(killed + "_main").encode())
    swept(toy)
    assert not [name for _, name in names(owner) if name.startswith((killed, "toy_"))]


def test_a_run_marks_each_database_in_the_statement_that_makes_it(
    owner: psycopg.Connection[Any], theirs: Server
) -> None:
    """Its oid follows from the token; where that oid is taken, the next one is."""
    run = run_on(choose.existing(theirs.conninfo))
    first, second, *_ = marks.database_oids(run.token, run.baseline)
    owner.execute(f"CREATE DATABASE person OID {first}".encode())
    with owned(run):
        run.create(run.baseline)
        found = owner.execute("SELECT oid FROM pg_database WHERE datname = %s", [run.baseline]).fetchone()
        assert found == (second,)
    assert {name for kind, name in names(owner) if kind == "DATABASE"} >= {"person"}
    assert not [name for _, name in names(owner) if name.startswith("rolecall_")]


def test_oids_are_of_no_database_that_the_server_counts() -> None:
    oids = [oid for number in range(500) for oid in marks.database_oids("token", f"rolecall_x_{number}")]
    assert all(2**30 <= oid < 2**31 for oid in oids)
    assert len(set(oids)) == len(oids)
    assert set(marks.database_oids("one", "x")).isdisjoint(marks.database_oids("two", "x"))


# ------------------------------------------------------------------ roles


def altered(connection: psycopg.Connection[Any]) -> None:
    connection.execute("ALTER ROLE toy_visitor LOGIN")


def configured(connection: psycopg.Connection[Any]) -> None:
    connection.execute("ALTER ROLE toy_visitor SET work_mem = '1MB'")


def commented(connection: psycopg.Connection[Any]) -> None:
    comment(connection, "ROLE", "toy_visitor", "mine now")


def used(connection: psycopg.Connection[Any]) -> None:
    connection.execute("CREATE ROLE person LOGIN; GRANT toy_visitor TO person")


def owning(connection: psycopg.Connection[Any]) -> None:
    connection.execute("CREATE DATABASE person OWNER toy_visitor")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (altered, "somebody has changed it"),
        (configured, "somebody has changed it"),
        (commented, None),
        (used, "somebody has made person a member of it"),
        (owning, "somebody else uses it: objects depend on it"),
    ],
)
@pytest.mark.usefixtures("killed")
def test_a_role_that_a_person_has_made_his_own_stays(
    toy: pytest.Pytester, owner: psycopg.Connection[Any], change: Callable[..., None], why: str | None
) -> None:
    change(owner)
    toy.runpytest_inprocess(CELL).assert_outcomes(passed=1)
    shown = swept(toy)
    assert [name for _, name in names(owner) if name.startswith("toy_")] == ["toy_visitor"]
    assert shown == (f"left role toy_visitor: {why}" if why else "nothing was left behind")


def test_a_comment_that_is_copied_is_no_mark(toy: pytest.Pytester, owner: psycopg.Connection[Any], killed: str) -> None:
    """Of a run's own role, and of one of the platform."""
    for name in (killed, "toy_visitor"):
        found = owner.execute("SELECT shobj_description(%s::regrole, 'pg_authid')", [name]).fetchone()
        assert found
        do(owner, "CREATE ROLE {} CREATEDB", f"person's {name}")
        comment(owner, "ROLE", f"person's {name}", found[0])
    visitor = owner.execute("SELECT shobj_description('toy_visitor'::regrole, 'pg_authid')").fetchone() or ("",)
    do(owner, "ALTER ROLE {} RENAME TO {}", "toy_visitor", "renamed by a person")
    do(owner, "CREATE ROLE {}", "toy_visitor")
    comment(owner, "ROLE", "toy_visitor", visitor[0])
    swept(toy)
    left = {name for _, name in names(owner)}
    assert {f"person's {killed}", "person's toy_visitor", "toy_visitor", "renamed by a person"} <= left
    assert not left & {killed, "toy_member", "toy_keeper", "toy_migrator"}


def test_a_mark_of_another_server_is_none(owner: psycopg.Connection[Any], killed: str) -> None:
    """pg_dumpall takes roles and their comments along."""
    assert {role.name for role in marks.roles(owner, system(owner))} >= {killed, "toy_visitor"}
    assert marks.roles(owner, "1") == []


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
def test_a_comment_that_says_something_else_is_no_mark(text: str | None) -> None:
    assert Mark.of(text) is None
    assert not marks.has_mark(text or "", "")


def test_a_role_that_a_person_makes_at_the_same_moment_is_not_marked(
    owner: psycopg.Connection[Any], theirs: Server
) -> None:
    run = run_on(choose.existing(theirs.conninfo))
    with owned(run):
        run.create(run.baseline)
        with run.connect(run.baseline) as connection, run.marking(connection):
            connection.execute("CREATE ROLE toy_ours")
            owner.execute("CREATE ROLE person")
        marked = {role.name for role in marks.roles(owner, system(owner))}
    assert marked == {run.name, "toy_ours"}
    assert "person" in {name for _, name in names(owner)}
    assert "toy_ours" not in {name for _, name in names(owner)}


def test_roles_that_steps_and_scratch_databases_make_go_too(
    toy: pytest.Pytester, owner: psycopg.Connection[Any], inventory: Inventory
) -> None:
    before = inventory(owner)
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
    assert inventory(owner) == before


# ------------------------------------------------------------------ killed at any moment

KILL = """

import os
import signal
from rolecall.server.connection import ServerConnection

execute, left = ServerConnection.execute, [int(os.environ["KILL_AT"])]


def execute_or_die(self, *given, **more):
    left[0] -= 1
    if left[0] == 0:
        if os.environ["KILL_WHEN"] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        self.pgconn.send_query(given[0] if isinstance(given[0], bytes) else b"SELECT 1")
        os.kill(os.getpid(), signal.SIGKILL)
    return execute(self, *given, **more)


ServerConnection.execute = execute_or_die
"""


@pytest.mark.parametrize("user", ["toy_boss", "toy_poor"])
@pytest.mark.parametrize("when", ["before", "while"])
def test_what_a_run_leaves_that_is_killed_at_any_statement_is_swept(
    toy: pytest.Pytester,
    guarded: Guarded,
    inventory: Inventory,
    monkeypatch: pytest.MonkeyPatch,
    user: str,
    when: str,
) -> None:
    """The statements between making something and marking it above all; by the next sweep, with the same rights."""
    monkeypatch.setenv("ROLECALL_PG_DSN", guarded.url(user))
    monkeypatch.setenv("KILL_WHEN", when)
    with (toy.path / "conftest.py").open("a") as file:
        file.write(KILL)
    with psycopg.connect(guarded.server.conninfo, autocommit=True) as connection, ExitStack():
        before = inventory(connection)
        left = set()
        for number in range(5 if when == "before" else 6, 60, 5):
            monkeypatch.setenv("KILL_AT", str(number))
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", CELL], cwd=toy.path, capture_output=True, check=False
            )
            if done.returncode == 0:
                break
            assert done.returncode == -signal.SIGKILL
            left |= set(inventory(connection)) - set(before)
            swept(toy)
            assert inventory(connection) == before, number
        assert len(left) > 10


def test_a_role_without_more_rights_than_it_needs_runs_and_leaves_nothing(
    toy: pytest.Pytester, guarded: Guarded, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLECALL_PG_DSN", guarded.url("toy_poor"))
    with psycopg.connect(guarded.server.conninfo, autocommit=True) as connection:
        before = inventory(connection)
        result = toy.runpytest_subprocess("-n", "2", "-v")
        result.assert_outcomes(passed=41)
        guarded.shown(result)
        assert inventory(connection) == before


def test_what_others_own_is_left_and_said(
    toy: pytest.Pytester, guarded: Guarded, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role that is no superuser cannot drop what a superuser's run has left."""
    toy.makepyfile(test_killed="import os, signal\ndef test_killed(db): os.kill(os.getpid(), signal.SIGKILL)")
    with psycopg.connect(guarded.server.conninfo, autocommit=True) as connection:
        before = inventory(connection)
        monkeypatch.setenv("ROLECALL_PG_DSN", guarded.url("toy_boss"))
        assert toy.runpytest_subprocess("test_killed.py").ret == -9
        left = inventory(connection)
        monkeypatch.setenv("ROLECALL_PG_DSN", guarded.url("toy_poor"))
        assert "_migrated: must be owner of database rolecall_" in swept(toy)
        assert inventory(connection) == left
        monkeypatch.setenv("ROLECALL_PG_DSN", guarded.url("toy_boss"))
        swept(toy)
        assert inventory(connection) == before


def test_the_owner_of_the_databases_is_who_connects(owner: psycopg.Connection[Any], theirs: Server) -> None:
    owner.execute("CREATE ROLE toy_boss SUPERUSER LOGIN")
    run = run_on(choose.existing(theirs.conninfo.to(user="toy_boss")))
    with owned(run):
        run.create(run.baseline)
        found = owner.execute("SELECT datdba::regrole::text FROM pg_database WHERE datname = %s", [run.baseline])
        assert found.fetchone() == ("toy_boss",)
    assert make_conninfo(run.conninfo) == run.conninfo.reveal()
