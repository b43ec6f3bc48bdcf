"""A test that leaves something behind is caught, whatever it tries, and leaves it to nobody."""

from __future__ import annotations

import pytest

KEEPS = {
    "by a commit": 'connection.execute("COMMIT")',
    "by a commit, and goes on": 'connection.execute("COMMIT; BEGIN")',
    "by a commit, and an error": 'connection.execute("COMMIT; BEGIN"); connection.execute("SELECT 1 / 0")',
    "by losing the connection": 'connection.execute("COMMIT"); connection.close()',
}
TESTS = """
from contextlib import suppress

import psycopg
import pytest


@pytest.fixture
def connection({fixture}):
    return {connection}


def look(connection):
    assert connection.execute("SELECT to_regclass('shop.left_behind')").fetchone() == (None,)
    assert connection.execute("SHOW work_mem").fetchone() != ("1234kB",)


def test_leaves(connection):
    look(connection)
    connection.execute("CREATE TABLE shop.left_behind (); SET work_mem = '1234kB'")
    with suppress(psycopg.Error):
        {keeps}


def test_looks(connection):
    look(connection)
"""
CONNECTIONS = {
    "db": "db.connection",
    "rolled_back_scratch": "rolled_back_scratch().connection",
    "rolled_back_scratch, migrated": "rolled_back_scratch(migrated=True).connection",
}


@pytest.mark.parametrize("where", CONNECTIONS)
@pytest.mark.parametrize("how", KEEPS)
def test_whoever_ends_the_transaction_is_caught(toy: pytest.Pytester, where: str, how: str) -> None:
    fixture, connection = where.split(",")[0], CONNECTIONS[where]
    toy.makepyfile(test_it=TESTS.format(fixture=fixture, connection=connection, keeps=KEEPS[how]))
    result = toy.runpytest_inprocess("-p", "no:randomly", "test_it.py", "test_notes.py")
    result.assert_outcomes(passed=42, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_leaves*", "*the transaction was ended*"])


@pytest.mark.parametrize("where", CONNECTIONS)
@pytest.mark.parametrize("how", ["pass", 'connection.execute("SELECT 1 / 0")'], ids=["no more", "an error"])
def test_whoever_does_not_is_undone(toy: pytest.Pytester, where: str, how: str) -> None:
    fixture, connection = where.split(",")[0], CONNECTIONS[where]
    toy.makepyfile(test_it=TESTS.format(fixture=fixture, connection=connection, keeps=how))
    toy.runpytest_inprocess("-p", "no:randomly", "test_it.py", "test_notes.py").assert_outcomes(passed=42)


def test_in_a_trial_it_is_an_error_and_the_mutant_stays_with_nobody(toy: pytest.Pytester) -> None:
    """The whole trial is one transaction, and would be committed with what is broken."""
    toy.makepyfile(
        test_it="""
        def test_commits(db):  # names shop.notes
            db.connection.execute("COMMIT")
            assert db.value("SELECT count(*) FROM pg_policies WHERE tablename = 'notes'") == 4
        """
    )
    result = toy.runpytest_inprocess("--rolecall-mutants", "--rolecall-mutants-operator=policy-drop", "test_it.py")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*4 error*"])
    toy.runpytest_inprocess("test_notes.py").assert_outcomes(passed=40)


def test_undone_scratch_applies_verifies_and_rolls_back(toy: pytest.Pytester) -> None:
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
