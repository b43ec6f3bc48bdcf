"""Defects: a test catches one if it fails because of it. A test that breaks, or fails anyway, proves nothing."""

from __future__ import annotations

import pytest

TESTS = """\
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def notes(db, persona):
    with db.reading_as(persona):
        return db.value("SELECT count(*) FROM shop.notes")


def test_own_notes(db):
    assert notes(db, "bob") == 1


def test_there_are_notes(db):
    assert notes(db, "alice") > 0


def test_breaks(db):
    {1: "one"}[notes(db, "bob")]


def test_fails_anyway(db):
    assert notes(db, "visitor") == 0


@pytest.fixture
def broken(db):
    assert notes(db, "bob") == 1


def test_of_a_broken_fixture(broken):
    pass


def test_expecting_an_error(db):
    db.execute("ALTER TABLE shop.notes ADD seen int")
    with pytest.raises(AssertionError), db.acting_as("bob"):
        assert db.value("SELECT count(*) FROM shop.notes") == 2


def test_skipped(db):
    if notes(db, "bob") != 1:
        pytest.skip("another schema")


def test_rollback(scratch):
    database = scratch(migrated=True)
    database.rollback(1)
    assert database.connection.execute("SELECT to_regclass('shop.notes')").fetchone() == (None,)


def test_verify(scratch):
    database = scratch(migrated=True)
    database.verify(1)
    assert database.connection.execute("SELECT count(*) FROM shop.notes").fetchone() == (2,)
"""

OPEN = 'ALTER POLICY "own notes are read" ON shop.notes USING (true);\n'
UNCHANGED = """\
def test_nothing_is_left_of_any_defect(db, scratch):
    query = "SELECT count(*) FROM pg_policies WHERE tablename = 'notes' AND qual = '(author = shop.me())'"
    assert db.value(query) == 3
    assert scratch(migrated=True).connection.execute(query).fetchone() == (3,)
    assert db.value("SELECT array_agg(body ORDER BY id) FROM shop.notes") == ["hers", "his"]
    assert db.value("SELECT current_user = session_user") is True
"""


def defect(toy: pytest.Pytester, number: int, caught_by: str, sql: str = OPEN, more: str = "") -> None:
    text = f"-- F{number}: defect number {number}\n-- caught by: test_some.py{caught_by}\n{more}{sql}"
    (toy.path / "defects" / f"f{number}.sql").write_text(text)


def write_defects(toy: pytest.Pytester) -> None:
    (toy.path / "test_some.py").write_text(TESTS)
    (toy.path / "test_unchanged.py").write_text(UNCHANGED)
    defect(toy, 2, "::test_own_notes\n-- caught by: test_notes.py::test_grid[alice's note-select-bob]")
    defect(toy, 3, "::test_there_are_notes")
    defect(toy, 4, "::test_breaks")
    defect(toy, 5, "::test_of_a_broken_fixture")
    defect(toy, 6, "::test_no_such")
    defect(toy, 7, "_where::test_own_notes")
    defect(toy, 8, "::test_own", sql=OPEN)
    defect(toy, 9, "::test_own_notes", sql="ALTER TABLE shop.nothing RENAME TO something;\n")
    defect(toy, 10, "::test_rollback", sql="SELECT 1;\n", more="-- instead of: migrations/phase_1_notes/rollback.sql\n")
    defect(toy, 11, "::test_verify", sql="DELETE FROM shop.notes;\n")
    defect(toy, 12, "::test_expecting_an_error")
    defect(toy, 13, "::test_skipped")


# The message of each defect that fails. The others pass.
MESSAGES = {
    "F3": "F3 was not caught by test_some.py::test_there_are_notes (1 tests): defect number 3\n"
    "  applied from {}/defects/f3.sql\n",
    "F4": "test_some.py::test_breaks broke instead of failing:\n",
    "F5": "test_some.py::test_of_a_broken_fixture broke instead of failing:\n",
    "F6": "{}/defects/f6.sql: -- caught by: test_some.py::test_no_such: no test has an id that starts with it.\n",
    "F7": "{0}/defects/f7.sql: -- caught by: test_some.py_where::test_own_notes: the file "
    "{0}/test_some.py_where does not exist.\n",
    "F8": "{}/defects/f8.sql: -- caught by: test_some.py::test_own: no test has an id that starts with it.\n",
    "F9": 'defects/f9.sql:3:1: relation "shop.nothing" does not exist (42P01)\n',
    "F13": "F13 was not caught by test_some.py::test_skipped (1 tests): defect number 13\n"
    "  applied from {}/defects/f13.sql\n",
}


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_defect_passes_if_its_tests_catch_it(toy: pytest.Pytester, processes: str) -> None:
    write_defects(toy)
    run = toy.runpytest_inprocess if processes == "0" else toy.runpytest_subprocess
    result = run("-n", processes, "-rp", "defects", "test_unchanged.py")
    result.assert_outcomes(passed=6, failed=len(MESSAGES))
    shown = result.stdout.str()
    for name, message in MESSAGES.items():
        assert f"\n{message.format(toy.path)}" in shown, name
    for name in ("f1_anybody_reads.sql::F1", "f2.sql::F2", "f10.sql::F10", "f11.sql::F11", "f12.sql::F12"):
        assert f"PASSED defects/{name}\n" in shown
    assert "KeyError: 2" in shown


def test_a_test_that_fails_anyway_proves_nothing(toy: pytest.Pytester) -> None:
    write_defects(toy)
    for path in (toy.path / "defects").iterdir():
        path.unlink()
    defect(toy, 1, "::test_own_notes")
    defect(toy, 2, "::test_fails_anyway")
    rest = TESTS.replace('assert notes(db, "visitor") == 0', 'assert notes(db, "alice") == 3')
    (toy.path / "test_some.py").write_text(rest)
    result = toy.runpytest_inprocess("defects", "test_unchanged.py")
    result.assert_outcomes(passed=2, failed=1)
    assert "\ntest_some.py::test_fails_anyway fails without F2 too: it proves nothing.\n" in result.stdout.str()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "SELECT 1;\n",
            "{}/defects/f1.sql:1: start with the number of the finding and a title: -- F10: …",
            id="no title",
        ),
        pytest.param(
            "-- F1: not caught\nSELECT 1;\n",
            "{}/defects/f1.sql:1: name a test that catches the defect: -- caught by: tests/…::test_…",
            id="no test",
        ),
        pytest.param(
            "-- F1: another script\n-- caught by: test_notes.py\n-- instead of: migrations/none.sql\n",
            "{0}/defects/f1.sql:3: -- instead of: {0}/migrations/none.sql does not exist.",
            id="no such script",
        ),
    ],
)
def test_invalid_comments_stop_the_run(toy: pytest.Pytester, text: str, message: str) -> None:
    (toy.path / "defects" / "f1.sql").write_text(text)
    result = toy.runpytest_inprocess("defects/f1.sql")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(errors=1)
    assert message.format(toy.path) in result.stdout.str()
    assert "Traceback" not in result.stdout.str()


def test_a_script_of_no_phase_is_an_error(toy: pytest.Pytester) -> None:
    """Otherwise the defect would never run."""
    (toy.path / "test_some.py").write_text(TESTS)
    defect(toy, 1, "::test_rollback", more="-- instead of: baseline.sql\n")
    result = toy.runpytest_inprocess("defects/f1.sql")
    result.assert_outcomes(failed=1)
    message = "{0}/defects/f1.sql: -- instead of: {0}/baseline.sql is not a script of a phase."
    assert message.format(toy.path) in result.stdout.str()


def test_a_trial_covers_nothing(toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inserts, updates and deletes also ran in the trial, before a select failed."""
    monkeypatch.setenv("COLUMNS", "200")  # for all names
    result = toy.runpytest_inprocess("defects")
    missing = "shop.notes: own notes are changed, shop.notes: own notes are deleted, shop.notes: own notes are written"
    assert f"  policies                1 of 4   without {missing}\n" in result.stdout.str()


def test_tests_after_a_trial_are_counted(toy: pytest.Pytester) -> None:
    """Also if the trial runs first."""
    toy.makepyfile(
        test_later="""
        def test_later(db):
            with db.acting_as("alice"):
                db.execute("SELECT shop.count_notes()")
        """
    )
    result = toy.runpytest_inprocess("defects", "test_later.py")
    assert "  functions x personas    1 of 4" in result.stdout.str()


def test_the_tests_of_a_defect_have_the_fixtures_of_their_folder(toy: pytest.Pytester) -> None:
    """Also if nothing else in that folder is collected."""
    folder = toy.mkdir("notes")
    (folder / "conftest.py").write_text(
        "import pytest\n@pytest.fixture\ndef count(db): return lambda: db.value('SELECT count(*) FROM shop.notes')\n"
    )
    (folder / "test_own.py").write_text(
        "def test_own(db, count):\n    with db.acting_as('bob'):\n        assert count() == 1\n"
    )
    (toy.path / "defects").mkdir(exist_ok=True)
    (toy.path / "defects/f1_open.sql").write_text(f"-- F1: open\n-- caught by: notes/test_own.py::test_own\n{OPEN}")
    toy.runpytest_inprocess("defects/f1_open.sql").assert_outcomes(passed=1)
    toy.runpytest_inprocess("notes", "defects/f1_open.sql").assert_outcomes(passed=2)
    toy.runpytest_inprocess("defects/f1_open.sql", "notes").assert_outcomes(passed=2)
