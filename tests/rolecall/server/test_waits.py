"""No connection waits without end: a timeout ends the statement, and the error says what blocked it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import psycopg
import pytest
from psycopg import Connection

from rolecall import settings
from rolecall.database.run import Run, run_on
from rolecall.errors import RolecallError
from rolecall.server import choose
from rolecall.server.choose import Server
from rolecall.server.connection import ServerConnection, connect, run_program
from rolecall.server.waits import Timeouts
from rolecall.worker import Worker

SHORT = Timeouts(1, 3)
Open = Callable[[str], ServerConnection]

# ------------------------------------------------------------------ what a user sees

BLOCKED = """
def test_it(scratch):
    one = scratch(migrated=True)
    with one.run.connect(one.name) as other, other.transaction():
        other.execute("LOCK TABLE shop.notes")
        {statement}
"""


def test_the_error_names_the_blocked_statement_and_the_blocking_one(toy: pytest.Pytester) -> None:
    toy.makepyfile(test_it=BLOCKED.format(statement='one.connection.execute("DELETE FROM shop.notes")'))
    result = toy.runpytest_inprocess("--rolecall-lock-timeout=3", "test_it.py")  # time for a look on a busy machine
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E *LockNotAvailable: canceling statement due to lock timeout",
            "E *Blocked statement (pid *, * rolecall_scratch), waits for RowExclusiveLock on shop.notes:",
            "E *    DELETE FROM shop.notes",
            "E *Blocking statement (pid *, * test_it.py:3), idle in transaction for * s:",
            "E *    LOCK TABLE shop.notes",
            "E *rolecall_lock_timeout is 3 s.",
        ]
    )


def test_the_error_of_a_file_names_them_too(toy: pytest.Pytester) -> None:
    toy.makepyfile(test_it=BLOCKED.format(statement="one.rollback(1)"))
    result = toy.runpytest_inprocess("-n2", "--rolecall-lock-timeout=3", "test_it.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*rollback.sql:3:1: canceling statement due to lock timeout (55P03)",
            "*Blocked statement (pid *rolecall_scratch), waits for AccessExclusiveLock on shop.notes:",
            "*    DROP TABLE shop.notes",
            "*Blocking statement (pid *, idle in transaction for * s:",
            "*    LOCK TABLE shop.notes",
        ]
    )


def test_pg_dump_waits_no_longer_either(toy: pytest.Pytester) -> None:
    toy.makepyfile(test_it=BLOCKED.format(statement="one.dump()"))
    result = toy.runpytest_inprocess("--rolecall-lock-timeout=1", "test_it.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*pg_dump failed: *",
            "*LOCK TABLE shop.notes*",
            "*Other open transaction (pid *, idle in transaction for * s:",
        ]
    )
    explanation = [line for line in result.stdout.lines if line.startswith("E ")]  # pytest's summary repeats it in CI
    assert "\n".join(explanation).count("Other open transaction") == 1


def test_a_statement_that_takes_too_long_ends(toy: pytest.Pytester) -> None:
    toy.makepyfile(test_it="def test_it(db): db.execute('SELECT pg_sleep(20)')")
    result = toy.runpytest_inprocess("--rolecall-statement-timeout=1", "test_it.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*QueryCanceled: canceling statement due to statement timeout*", "*rolecall_statement_timeout is 1 s."]
    )
    assert "Blocking" not in result.stdout.str()


def test_two_connections_that_block_each_other_end(toy: pytest.Pytester) -> None:
    """In one thread no server sees this deadlock: one session waits for a lock, the other for Python."""
    toy.makepyfile(
        test_it="""
        def test_it(scratch):
            one = scratch(migrated=True)
            with one.run.connect(one.name) as other:
                other.execute("BEGIN; SET LOCAL lock_timeout = 0; UPDATE shop.notes SET body = 'x'")
                one.connection.execute("BEGIN; SET LOCAL lock_timeout = 0; UPDATE shop.notes SET body = 'y'")
        """
    )
    result = toy.runpytest_inprocess("--rolecall-statement-timeout=2", "test_it.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*QueryCanceled: canceling statement due to statement timeout",
            "*Blocking statement (pid *idle in transaction*",
        ]
    )


# ------------------------------------------------------------------ one connection


@pytest.fixture
def open_(toy_worker: Worker) -> Iterator[Open]:
    """A function that opens a connection to a database of its own, with short timeouts; its argument is a label."""
    run = replace(toy_worker.run, timeouts=SHORT)
    with ExitStack() as stack:
        name = stack.enter_context(run.clone(run.template, "waits"))
        yield lambda label: stack.enter_context(run.connect(name, label))


@contextmanager
def holding(connection: Connection[object], statement: str = "LOCK TABLE shop.notes") -> Iterator[None]:
    """A block in which a connection has run a statement in an open transaction."""
    with connection.transaction(force_rollback=True):
        connection.execute(statement.encode())
        yield


def notes(error: BaseException) -> str:
    return "\n".join(getattr(error, "__notes__", []))


def test_a_shorter_timeout_of_the_sql_itself_is_not_explained_as_ours(open_: Open) -> None:
    one, other = open_("one"), open_("other")
    one.execute("SET lock_timeout = '50ms'")
    with holding(other), pytest.raises(psycopg.errors.LockNotAvailable) as caught:
        one.execute("DELETE FROM shop.notes")
    # It ended before the first look, so what has blocked it is not certain.
    assert "Other open transaction" in notes(caught.value)
    assert "rolecall_lock_timeout" not in notes(caught.value)


def test_a_blocked_blocker_is_shown_with_what_it_waits_for(open_: Open) -> None:
    one, other, third = open_("one"), open_("other"), open_("third")
    with holding(other, "LOCK TABLE shop.notes IN ROW EXCLUSIVE MODE"):
        third.execute("SET lock_timeout = 0")
        thread = threading.Thread(target=lambda: third.execute("ANALYZE; BEGIN; LOCK TABLE shop.notes; COMMIT"))
        thread.start()
        while other.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,):
            pass
        with pytest.raises(psycopg.errors.LockNotAvailable) as caught:
            one.execute("SELECT FROM shop.notes")
    thread.join()
    assert "third), active for" in notes(caught.value)
    assert "waits itself for AccessExclusiveLock on shop.notes" in notes(caught.value)
    assert "other), idle in transaction" in notes(caught.value)


def test_a_deadlock_names_both_statements(open_: Open) -> None:
    one, other = open_("one"), open_("other")
    for connection in (one, other):
        connection.execute("SET deadlock_timeout = '100ms'; BEGIN")
    one.execute("UPDATE shop.notes SET body = 'one' WHERE id = 1")
    other.execute("UPDATE shop.notes SET body = 'other' WHERE id = 2")
    errors: list[psycopg.Error] = []

    def update(connection: ServerConnection, key: int) -> None:
        try:
            connection.execute("UPDATE shop.notes SET body = '' WHERE id = %s", [key])
        except psycopg.Error as error:
            errors.append(error)

    thread = threading.Thread(target=update, args=(one, 2))
    thread.start()
    update(other, 1)
    thread.join()
    (error,) = errors
    assert isinstance(error, psycopg.errors.DeadlockDetected)
    assert notes(error).count("UPDATE shop.notes SET body = ''") == 2


def test_a_refusal_to_wait_is_no_timeout(open_: Open) -> None:
    one, other = open_("one"), open_("other")
    with holding(other, "DELETE FROM shop.notes"), pytest.raises(psycopg.errors.LockNotAvailable) as caught:
        one.execute("SELECT FROM shop.notes FOR UPDATE NOWAIT")
    assert notes(caught.value) == ""


def test_a_raise_with_the_code_of_a_timeout_is_no_timeout(open_: Open) -> None:
    with pytest.raises(psycopg.errors.QueryCanceled) as caught:
        open_("one").execute("DO $$ BEGIN RAISE 'x' USING ERRCODE = '57014'; END $$")
    assert notes(caught.value) == ""


def test_nothing_limits_a_statement_with_zero(toy_server: Server) -> None:
    with connect(toy_server.conninfo, timeouts=Timeouts(0, 0)) as connection:
        assert shown(connection) == ("0", "0")


# ------------------------------------------------------------------ every connection


def shown(connection: Connection[object]) -> object:
    return connection.execute("SELECT current_setting('lock_timeout'), current_setting('statement_timeout')").fetchone()


@pytest.mark.parametrize("setting", ["role", "options", "PGOPTIONS"])
def test_nobody_else_sets_them(own_server: Server, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    conninfo = own_server.conninfo
    with psycopg.connect(conninfo, autocommit=True) as connection:
        if setting == "role":
            connection.execute(
                "ALTER ROLE rolecall SET lock_timeout = 0; ALTER ROLE rolecall SET statement_timeout = 0"
            )
    options = "-c lock_timeout=0 -c statement_timeout=0"
    if setting == "options":
        conninfo = conninfo.to(options=options)
    if setting == "PGOPTIONS":
        monkeypatch.setenv("PGOPTIONS", options)
    with connect(conninfo) as connection:
        assert shown(connection) == ("10s", "1min")


def test_a_worker_has_the_timeouts_of_the_run(toy_server: Server) -> None:
    run = replace(run_on(toy_server), timeouts=SHORT)
    received = Run.of(json.loads(json.dumps(run.as_json())), settings.Settings())
    assert received.timeouts == SHORT


def test_connections_that_set_none_have_those_of_a_throwaway_server(pytestconfig: pytest.Config) -> None:
    short = replace(settings.read(pytestconfig), pg_dsn=None, lock_timeout=7, statement_timeout=8)
    with choose.running(short) as server, psycopg.connect(server.conninfo) as connection:
        assert shown(connection) == ("7s", "8s")


def test_a_program_that_does_not_end_is_stopped(toy_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rolecall.server.connection.PROGRAM", 0.1)
    with pytest.raises(RolecallError, match=r"psql did not end within 0\.1 s"):
        run_program(choose.embedded(18) / "psql", ["-Xc", "SELECT pg_sleep(20)"], toy_server.conninfo, Timeouts(0, 1))


@pytest.mark.parametrize("name", ["lock", "statement"])
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("soon", "is 'soon': give a whole number."),
        ("-1", "is -1: give 0 (no limit) to 2147483 seconds."),
        ("2147484", "is 2147484: give 0 (no limit) to 2147483 seconds."),
    ],
)
def test_a_timeout_that_is_no_number_of_seconds(toy: pytest.Pytester, name: str, value: str, problem: str) -> None:
    result = toy.runpytest_inprocess(f"--rolecall-{name}-timeout={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --rolecall-{name}-timeout {problem}"])
