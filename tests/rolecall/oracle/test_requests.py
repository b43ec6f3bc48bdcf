"""The oracle: cells are also sent as requests, and a different outcome is a failure."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall.grids.probe import source as probe_source

# The probe cannot hide this: it runs the statement inside another one.
BY_QUERY = """
ALTER POLICY "own notes are read" ON shop.notes USING (author = shop.me() AND current_query() NOT LIKE '%probe%');
"""


def test_every_cell_is_sent_as_requests(toy: pytest.Pytester) -> None:
    result = toy.runpytest_inprocess("--rolecall-oracle", "test_notes.py")
    result.assert_outcomes(passed=40)
    result.stdout.fnmatch_lines(["40 cells, 104 statements: each also sent as a request"])


def test_the_counts_of_several_processes_are_added(toy: pytest.Pytester) -> None:
    result = toy.runpytest_subprocess("--rolecall-oracle", "-n", "2", "test_notes.py")
    result.assert_outcomes(passed=40)
    result.stdout.fnmatch_lines(["40 cells, 104 statements: each also sent as a request"])


def test_a_difference_is_a_failure_with_both_outcomes(toy: pytest.Pytester) -> None:
    step = toy.path / "migrations/phase_1_notes/1_2_count_notes.sql"
    step.write_text(step.read_text() + BY_QUERY)
    test = toy.path / "test_notes.py"
    test.write_text(test.read_text().replace("alice             yes", "alice             -  "))
    result = toy.runpytest_inprocess("--rolecall-oracle", "test_notes.py::test_grid[alice's note-select-alice]")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            'alice: SELECT [*] FROM "shop"."notes" WHERE "id" = 1',
            "  the probe says  no row",
            "  a request gets  yes",
        ]
    )


def test_the_oracle_uses_one_database_at_a_time(toy: pytest.Pytester) -> None:
    toy.makepyfile(
        test_databases="""
        def test_databases(db):
            databases = "SELECT count(*) FROM pg_database WHERE datname ~ %s"
            run = db.value("SELECT split_part(current_database(), '_main', 1)")
            assert db.value(databases, [f"^{run}_.*oracle"]) <= 1
        """
    )
    toy.runpytest_inprocess("--rolecall-oracle", "test_notes.py", "test_databases.py").assert_outcomes(passed=41)


@pytest.mark.parametrize("user", ["toy_boss", "toy_poor"])
def test_the_oracle_works_with_a_password_and_needs_a_superuser(
    toy: pytest.Pytester, guarded: Any, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    """On a running server, only the given user logs in, and switches to the authenticator."""
    monkeypatch.setenv("ROLECALL_PG_DSN", guarded.url(user))
    result = toy.runpytest_inprocess("--rolecall-oracle", "test_notes.py::test_grid[alice's note-select-alice]")
    if user == "toy_boss":
        result.assert_outcomes(passed=1)
    else:
        result.assert_outcomes(failed=1)
        assert "--rolecall-oracle needs a superuser" in guarded.shown(result)


# What no text of a function names: rolecall must not find it, for this test.
HIDDEN_READER = """
CREATE FUNCTION shop.either(boolean, text) RETURNS boolean STABLE LANGUAGE sql
AS $$ SELECT $1 OR $2 = 'bob' AND shop.me() = 'bob' $$;
CREATE FUNCTION shop.is_bob() RETURNS boolean IMMUTABLE LANGUAGE sql AS $$ SELECT shop.either(false, 'bob') $$;
ALTER POLICY "own notes are read" ON shop.notes USING (author = shop.me() OR shop.is_bob());
"""


def test_the_outcome_that_is_compared_is_the_one_among_all_cells(
    toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone, bob's cell has a plan of its own, and agrees with the request."""
    shared = probe_source().replace("SELECT NOT EXISTS (", "SELECT true OR NOT EXISTS (", 1)
    assert shared != probe_source()
    monkeypatch.setattr("rolecall.grids.probe.source", lambda: shared)
    step = toy.path / "migrations/phase_1_notes/1_2_count_notes.sql"
    step.write_text(step.read_text() + HIDDEN_READER)
    result = toy.runpytest_inprocess("--rolecall-oracle", "test_notes.py")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["bob: SELECT *", "  the probe says  no row", "  a request gets  yes"])
