"""Defects that are put back: who notices one has proved something, and whoever breaks or fails anyway has not."""

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


def test_expecting_a_refusal(db):
    db.execute("ALTER TABLE shop.notes ADD seen int")
    with pytest.raises(AssertionError), db.acting_as("bob"):
        assert db.value("SELECT count(*) FROM shop.notes") == 2


def test_left_out(db):
    if notes(db, "bob") != 1:
        pytest.skip("not like this")


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
UNHARMED = """\
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


def several(toy: pytest.Pytester) -> None:
    (toy.path / "test_some.py").write_text(TESTS)
    (toy.path / "test_unharmed.py").write_text(UNHARMED)
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
    defect(toy, 12, "::test_expecting_a_refusal")
    defect(toy, 13, "::test_left_out")


# What is shown of each that fails; the others pass.
TOLD = {
    "F3": "F3 went unnoticed by test_some.py::test_there_are_notes (1 tests): defect number 3\n"
    "  put back by {}/defects/f3.sql\n",
    "F4": "test_some.py::test_breaks broke instead of failing:\n",
    "F5": "test_some.py::test_of_a_broken_fixture broke instead of failing:\n",
    "F6": "{}/defects/f6.sql: -- caught by: test_some.py::test_no_such: no test has an id that begins so.\n",
    "F7": "{0}/defects/f7.sql: -- caught by: test_some.py_where::test_own_notes: there is no file "
    "{0}/test_some.py_where.\n",
    "F8": "{}/defects/f8.sql: -- caught by: test_some.py::test_own: no test has an id that begins so.\n",
    "F9": 'defects/f9.sql:3:1: relation "shop.nothing" does not exist (42P01)\n',
    "F13": "F13 went unnoticed by test_some.py::test_left_out (1 tests): defect number 13\n"
    "  put back by {}/defects/f13.sql\n",
}


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_defect_passes_where_it_is_noticed_and_only_there(toy: pytest.Pytester, processes: str) -> None:
    several(toy)
    run = toy.runpytest_inprocess if processes == "0" else toy.runpytest_subprocess
    result = run("-n", processes, "-rp", "defects", "test_unharmed.py")
    result.assert_outcomes(passed=6, failed=len(TOLD))
    shown = result.stdout.str()
    for name, told in TOLD.items():
        assert f"\n{told.format(toy.path)}" in shown, name
    for name in ("f1_anybody_reads.sql::F1", "f2.sql::F2", "f10.sql::F10", "f11.sql::F11", "f12.sql::F12"):
        assert f"PASSED defects/{name}\n" in shown
    assert "KeyError: 2" in shown


def test_a_test_that_fails_anyway_proves_nothing(toy: pytest.Pytester) -> None:
    several(toy)
    for path in (toy.path / "defects").iterdir():
        path.unlink()
    defect(toy, 1, "::test_own_notes")
    defect(toy, 2, "::test_fails_anyway")
    rest = TESTS.replace('assert notes(db, "visitor") == 0', 'assert notes(db, "alice") == 3')
    (toy.path / "test_some.py").write_text(rest)
    result = toy.runpytest_inprocess("defects", "test_unharmed.py")
    result.assert_outcomes(passed=2, failed=1)
    assert "\ntest_some.py::test_fails_anyway fails without F2 too: it proves nothing.\n" in result.stdout.str()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(
            "SELECT 1;\n",
            "{}/defects/f1.sql:1: begin with the finding's number and what is broken: -- F10: …",
            id="no head",
        ),
        pytest.param(
            "-- F1: nobody notices\nSELECT 1;\n",
            "{}/defects/f1.sql:1: name a test that notices: -- caught by: tests/…::test_…",
            id="caught by nobody",
        ),
        pytest.param(
            "-- F1: another script\n-- caught by: test_notes.py\n-- instead of: migrations/none.sql\n",
            "{0}/defects/f1.sql:3: -- instead of: {0}/migrations/none.sql is not there.",
            id="no such script",
        ),
    ],
)
def test_a_head_that_cannot_be_read_stops_the_run(toy: pytest.Pytester, text: str, told: str) -> None:
    (toy.path / "defects" / "f1.sql").write_text(text)
    result = toy.runpytest_inprocess("defects/f1.sql")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(errors=1)
    assert told.format(toy.path) in result.stdout.str()
    assert "Traceback" not in result.stdout.str()


def test_a_script_that_belongs_to_no_phase_is_told(toy: pytest.Pytester) -> None:
    """In place of it nothing would be run, and nothing noticed."""
    (toy.path / "test_some.py").write_text(TESTS)
    defect(toy, 1, "::test_rollback", more="-- instead of: baseline.sql\n")
    result = toy.runpytest_inprocess("defects/f1.sql")
    result.assert_outcomes(failed=1)
    told = "{0}/defects/f1.sql: -- instead of: {0}/baseline.sql is no script of any phase."
    assert told.format(toy.path) in result.stdout.str()


def test_what_runs_in_a_trial_is_not_counted(toy: pytest.Pytester) -> None:
    """Before somebody else's read is found to be allowed, one's own insert, update and delete were tried."""
    result = toy.runpytest_inprocess("defects")
    left_out = "shop.notes: own notes are changed, shop.notes: own notes are deleted, shop.notes: own notes are written"
    assert f"  policies                1 of 4   without {left_out}\n" in result.stdout.str()


def test_what_runs_after_a_trial_is_counted(toy: pytest.Pytester) -> None:
    """Also where the trial came before everything else."""
    toy.makepyfile(
        test_later="""
        def test_later(db):
            with db.acting_as("alice"):
                db.execute("SELECT shop.count_notes()")
        """
    )
    result = toy.runpytest_inprocess("defects", "test_later.py")
    assert "  functions x personas    1 of 4" in result.stdout.str()


def test_its_tests_have_the_fixtures_of_their_own_folder(toy: pytest.Pytester) -> None:
    """Also where nothing else of that folder was collected."""
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
