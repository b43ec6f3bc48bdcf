"""The worker isolates tests: it rolls back everything that a test does."""

from __future__ import annotations

import pytest

from rolecall.worker import Worker


def test_a_test_does_not_see_the_writes_of_another(toy: pytest.Pytester) -> None:
    """Two equal files: each checks for everything that the other one could leave."""
    for name in ("a", "b"):
        (toy.path / f"test_{name}.py").write_text(
            "def test_writing(db, scratch):\n"
            "    assert db.value('SELECT count(*) FROM shop.notes') == 2\n"
            "    assert db.value(\"SELECT current_setting('request.jwt.claims', true)\") in (None, '')\n"
            "    assert scratch(migrated=True).connection.execute('DELETE FROM shop.notes').rowcount == 2\n"
            "    with db.acting_as('alice'):\n"
            "        db.execute('DELETE FROM shop.notes')\n"
            "    db.execute('ALTER TABLE shop.notes DISABLE ROW LEVEL SECURITY')\n"
            "    db.execute('CREATE TABLE shop.pins ()')\n"
            "    db.execute(\"SET request.jwt.claims = 'x'\")\n"
            "    assert db.value('SELECT count(*) FROM shop.notes') == 1\n"
        )
    result = toy.runpytest_inprocess("test_a.py", "test_b.py", "test_notes.py")
    result.assert_outcomes(passed=42)


def test_failing_tests_are_rolled_back_too(toy: pytest.Pytester) -> None:
    toy.makepyfile(
        test_a="""
        def test_broken(db):
            db.execute("DELETE FROM shop.notes")
            with db.acting_as("alice"):
                db.execute("SELECT 1 / 0")

        def test_failing(db):
            db.execute("DELETE FROM shop.notes")
            assert db.persona is not None

        def test_after(db):
            assert db.value("SELECT count(*) FROM shop.notes") == 2
            assert db.value("SELECT current_user = session_user") is True
        """
    )
    toy.runpytest_inprocess("test_a.py").assert_outcomes(failed=2, passed=1)


def test_after_some_trials_the_databases_are_new(toy_built: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend remembers every function of every trial, and a catalog keeps the rows that were rolled back."""
    monkeypatch.setattr("rolecall.worker.TRIALS", 2)
    connections = []
    for _ in range(4):
        with toy_built.trial():
            connections.append(toy_built.connection)
    first, *_, last = connections
    assert first.closed
    assert last.execute("SELECT count(*) FROM shop.notes").fetchone() == (2,)
