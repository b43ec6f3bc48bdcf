"""undone_scratch: nothing that a test does to the database is there for the next, whatever the test tries."""

from __future__ import annotations

import pytest

KEEPS = {
    "nothing": "pass",
    "by a commit": 'connection.execute("COMMIT")',
    "by a commit, and goes on": 'connection.execute("COMMIT; BEGIN")',
    "by an error": 'connection.execute("ROLLBACK TO nowhere")',
    "by losing the connection": "connection.close()",
}


@pytest.mark.parametrize("migrated", [False, True], ids=["baseline", "migrated"])
@pytest.mark.parametrize("how", KEEPS)
def test_a_test_that_leaves_something_behind_leaves_it_to_nobody(
    toy: pytest.Pytester, how: str, migrated: bool
) -> None:
    toy.makepyfile(
        f"""
        from contextlib import suppress
        import psycopg

        def look(undone_scratch):
            connection = undone_scratch(migrated={migrated}).connection
            assert connection.execute("SELECT to_regclass('shop.left_behind')").fetchone() == (None,)
            assert connection.execute("SHOW work_mem").fetchone() != ("1234kB",)
            return connection

        def test_leaves(undone_scratch):
            connection = look(undone_scratch)
            connection.execute("CREATE TABLE shop.left_behind (); SET work_mem = '1234kB'")
            with suppress(psycopg.Error):
                {KEEPS[how]}

        def test_looks(undone_scratch):
            look(undone_scratch)
        """
    )
    toy.runpytest_inprocess("-p", "no:randomly").assert_outcomes(passed=43)


def test_it_applies_verifies_and_rolls_back(toy: pytest.Pytester) -> None:
    toy.makepyfile(
        """
        import pytest

        @pytest.fixture
        def bare(undone_scratch):
            return undone_scratch()

        def test_one(bare):
            bare.apply(1)
            bare.verify(1)

        def test_another(bare):
            bare.apply(1)
            bare.rollback(1)
            assert bare.connection.execute("SELECT to_regclass('shop.notes')").fetchone() == (None,)
        """
    )
    toy.runpytest_inprocess("test_it_applies_verifies_and_rolls_back.py").assert_outcomes(passed=2)
