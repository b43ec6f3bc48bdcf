"""A test that ends its transaction is an error, and its changes do not reach other tests."""

from __future__ import annotations

import pytest

ENDS = {
    "a commit": 'connection.execute("COMMIT")',
    "a commit and a new transaction": 'connection.execute("COMMIT; BEGIN")',
    "a commit and an error": 'connection.execute("COMMIT; BEGIN"); connection.execute("SELECT 1 / 0")',
    "a commit and a closed connection": 'connection.execute("COMMIT"); connection.close()',
}
TESTS = """
from contextlib import suppress

import psycopg
import pytest


@pytest.fixture
def connection({fixture}):
    return {connection}


def check(connection):
    assert connection.execute("SELECT to_regclass('shop.left_behind')").fetchone() == (None,)
    assert connection.execute("SHOW work_mem").fetchone() != ("1234kB",)
    assert connection.execute("SELECT name FROM pg_prepared_statements WHERE from_sql").fetchall() == []
    assert connection.execute("SELECT objid FROM pg_locks WHERE locktype = 'advisory'").fetchall() == []


def test_changes(connection):
    check(connection)
    connection.execute("CREATE TABLE shop.left_behind (); SET work_mem = '1234kB'")
    connection.execute("PREPARE again AS SELECT 1; SELECT pg_advisory_lock(1)")
    for _ in range(7):  # psycopg prepares it
        connection.execute("SELECT 2")
    with suppress(psycopg.Error):
        {end}


def test_next(connection):
    check(connection)
    for _ in range(7):
        connection.execute("SELECT 2")
"""
CONNECTIONS = {
    "db": "db.connection",
    "rolled_back_scratch": "rolled_back_scratch().connection",
    "rolled_back_scratch, migrated": "rolled_back_scratch(migrated=True).connection",
}


@pytest.mark.parametrize("database", CONNECTIONS)
@pytest.mark.parametrize("end", ENDS)
def test_a_test_that_ends_the_transaction_is_an_error(toy: pytest.Pytester, database: str, end: str) -> None:
    fixture, connection = database.split(",")[0], CONNECTIONS[database]
    toy.makepyfile(test_it=TESTS.format(fixture=fixture, connection=connection, end=ENDS[end]))
    result = toy.runpytest_inprocess("-p", "no:randomly", "test_it.py", "test_notes.py")
    result.assert_outcomes(passed=42, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_changes*", "*the transaction was ended*"])


@pytest.mark.parametrize("database", CONNECTIONS)
@pytest.mark.parametrize("end", ["pass", 'connection.execute("SELECT 1 / 0")'], ids=["no error", "an error"])
def test_a_test_that_leaves_the_transaction_open_is_rolled_back(toy: pytest.Pytester, database: str, end: str) -> None:
    fixture, connection = database.split(",")[0], CONNECTIONS[database]
    toy.makepyfile(test_it=TESTS.format(fixture=fixture, connection=connection, end=end))
    toy.runpytest_inprocess("-p", "no:randomly", "test_it.py", "test_notes.py").assert_outcomes(passed=42)


def test_a_commit_in_a_trial_is_an_error_and_the_mutant_is_undone(toy: pytest.Pytester) -> None:
    """A trial is one transaction, so the commit would also commit the mutant."""
    toy.makepyfile(
        test_it="""
        def test_commits(db):  # names shop.notes
            db.connection.execute("COMMIT")
            assert db.value("SELECT count(*) FROM pg_policies WHERE tablename = 'notes'") == 4
        """
    )
    result = toy.runpytest_inprocess("--rolecall-mutants", "--rolecall-mutants-operator=policy-drop", "test_it.py")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["error 4 *"])
    toy.runpytest_inprocess("test_notes.py").assert_outcomes(passed=40)


def test_what_a_test_prepared_does_not_reach_the_next_run_of_a_trial(toy: pytest.Pytester) -> None:
    """A test that fails does not come to its DEALLOCATE. Then it would fail without a mutant too."""
    toy.makepyfile(
        test_it="""
        def test_prepares(db):  # names shop.notes
            db.execute("PREPARE again AS SELECT count(*) FROM pg_policies WHERE tablename = 'notes'")
            assert db.value("EXECUTE again") == 4
            db.execute("DEALLOCATE again")
        """
    )
    result = toy.runpytest_inprocess("--rolecall-mutants", "--rolecall-mutants-operator=policy-drop", "test_it.py")
    assert result.parseoutcomes() == {"killed": 4}


def test_a_reused_scratch_database_applies_verifies_and_rolls_back(toy: pytest.Pytester) -> None:
    toy.makepyfile(
        test_it="""
        import pytest

        @pytest.fixture
        def bare(rolled_back_scratch):
            return rolled_back_scratch()

        def test_one(bare):
            bare.apply(1)
            bare.verify(1)

        def test_another(bare):
            bare.apply(1)
            bare.rollback(1)
            assert bare.connection.execute("SELECT to_regclass('shop.notes')").fetchone() == (None,)
        """
    )
    toy.runpytest_inprocess("test_it.py").assert_outcomes(passed=2)
