"""With rolecall_after_each_phase, grids and marked tests run after each earlier phase too, with what stands there."""

from __future__ import annotations

from pathlib import Path

import pytest

PHASE_2 = """\
ALTER TABLE shop.notes ADD COLUMN pinned boolean;
CREATE TABLE shop.pins (id int PRIMARY KEY, note int REFERENCES shop.notes ON DELETE CASCADE);
ALTER TABLE shop.pins ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON shop.pins TO toy_keeper;
CREATE FUNCTION shop.two() RETURNS int LANGUAGE sql RETURN 2;
"""
PHASE_3 = """\
CREATE POLICY "visitors read" ON shop.notes FOR SELECT TO toy_visitor USING (true);
GRANT SELECT ON shop.notes TO toy_visitor;
CREATE FUNCTION shop.three() RETURNS int LANGUAGE sql RETURN 3;
"""
PINS = '''
test_pins = grid(
    "shop.pins",
    """
                                select   insert   update   delete
    a pin
      keeper                    yes      yes      yes      yes
      alice, bob, visitor       !        !        !        !
    """,
    update="note = 2",
    from_phase=2,
)
'''
BEFORE = '''before={3: """
    # The policy for visitors comes with phase 3.
                        select   insert   update   delete   hand over
    alice's note
      visitor           !        !        !        !        !
    bob's note
      visitor           !        !        !        !        !
    """},
)
'''
VISITOR = "visitor           !        !        !        !        !"
ROWS = """\
    world.rows["shop.notes"]["bob's note"]["pinned"] = True
    world.add("shop.pins", "a pin", id=1, note=1)
    return world
"""


@pytest.fixture
def phases(toy: pytest.Pytester) -> pytest.Pytester:
    """The project with three phases: a column and a table in the second, a policy in the third."""
    for number, sql in ((2, PHASE_2), (3, PHASE_3)):
        folder = toy.path / "migrations" / f"phase_{number}_more"
        folder.mkdir()
        (folder / f"{number}_1_more.sql").write_text(sql)
        (folder / "verify.sql").write_text("SELECT 1;")
        (folder / "rollback.sql").write_text("SELECT 1;")
    replace(toy.path / "conftest.py", "    return world\n", ROWS)
    replace(toy.path / "test_notes.py", VISITOR, VISITOR.replace("!", "yes", 1).replace("     !", "   !", 1))
    replace(toy.path / "test_notes.py", ",\n)\n", ",\n    " + BEFORE)
    with (toy.path / "test_notes.py").open("a") as file:
        file.write(PINS)
    with (toy.path / "pytest.ini").open("a") as file:
        file.write("rolecall_after_each_phase = true\n")
    return toy


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


# ------------------------------------------------------------------ grids


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_grid_runs_after_each_phase(phases: pytest.Pytester, processes: str) -> None:
    result = phases.runpytest_inprocess("-n", processes, "test_notes.py")
    result.assert_outcomes(passed=40 + 16 + 4)


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        (1, "shop.pins does not exist after phase 1. If that is right, give its grid from_phase=, the first *"),
        (3, "shop.pins exists after phase 2. If that is right, give its grid from_phase=2."),
    ],
)
def test_a_table_that_comes_with_another_phase_fails(phases: pytest.Pytester, phase: int, message: str) -> None:
    replace(phases.path / "test_notes.py", "from_phase=2", f"from_phase={phase}")
    result = phases.runpytest_inprocess("test_notes.py")
    result.assert_outcomes(passed=40 + 16 + 3, failed=1)
    result.stdout.fnmatch_lines([message])


def test_without_the_option_nothing_runs_after_earlier_phases(phases: pytest.Pytester) -> None:
    result = phases.runpytest_inprocess("-o", "rolecall_after_each_phase=false", "test_notes.py")
    result.assert_outcomes(passed=40 + 16)


def test_the_cells_count_once(phases: pytest.Pytester) -> None:
    """The grids after earlier phases are not coverage."""
    result = phases.runpytest_inprocess("test_notes.py", "-k", "after")
    result.assert_outcomes(passed=4, deselected=56)
    result.stdout.fnmatch_lines(["  policies                0 of 5*"])


def test_a_cell_that_differs_after_an_earlier_phase_is_explained(phases: pytest.Pytester) -> None:
    path = phases.path / "test_notes.py"
    text = path.read_text()
    start, end = text.index("    before="), text.index("test_pins")
    path.write_text(text[:start] + ")\n\n" + text[end:])
    result = phases.runpytest_inprocess("test_notes.py", "-k", "after")
    result.assert_outcomes(passed=2, failed=2, deselected=56)
    result.stdout.fnmatch_lines(
        [
            "after phase 1, 2 of 40 cells of shop.notes differ from the grid.",
            "If that is right, give the grid a before={2: …} with these lines and the reason.",
            'visitor: select on "alice\'s note" of shop.notes',
            "  grants      toy_visitor holds nothing on shop.notes",
            "FAILED test_notes.py::test_grid[[]after phase 1[]] - *",
            "FAILED test_notes.py::test_grid[[]after phase 2[]] - *",
        ]
    )


def test_a_leak_after_an_earlier_phase_is_the_first_of_the_digest(phases: pytest.Pytester) -> None:
    """The grid of notes also lets everybody in after phase 1, until phase 2 puts the policy right."""
    replace(
        phases.path / "migrations/phase_1_notes/1_1_notes.sql",
        "SELECT USING (author = shop.me())",
        "SELECT USING (true)",
    )
    with (phases.path / "migrations/phase_2_more/2_1_more.sql").open("a") as file:
        file.write('ALTER POLICY "own notes are read" ON shop.notes USING (author = shop.me());')
    result = phases.runpytest_inprocess("test_notes.py", "--rolecall-digest-from", "1")
    result.assert_outcomes(passed=40 + 16 + 3, failed=1)
    result.stdout.fnmatch_lines(
        [
            "1 cell lets somebody in who should have no access:",
            '     1  shop.notes: policy "own notes are read"  (select as *)',
            "   e.g. after phase 1, * of 40 cells of shop.notes differ from the grid.",
        ]
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("# The policy for visitors comes with phase 3.\n", "\n", "has no reason: begin with a comment"),
        ("before={3:", "before={1:", "before={1: …}: give the number of a phase after the first"),
        ("before={3:", "before={9:", "before={9: …}: there is no phase 9"),
        ("from_phase=2", "from_phase=9", "from_phase=9: there is no phase 9"),
        ("visitor           !        !        !        !        !\n    bob", "x ! ! ! ! !\n    bob", "no line for 'x'"),
        ("visitor           !        !", "visitor           yes      !", "has the same verdicts as in the grid itself"),
    ],
    ids=["no reason", "phase 1", "no such phase", "no such first phase", "unknown persona", "no difference"],
)
def test_what_differs_is_checked(phases: pytest.Pytester, old: str, new: str, message: str) -> None:
    path = phases.path / "test_notes.py"
    text = path.read_text()
    at = text.index("    before=")
    assert old in text[at:]
    path.write_text(text[:at] + text[at:].replace(old, new, 1))
    result = phases.runpytest_inprocess("test_notes.py")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*test_notes.py:*: *{message}*"])


def test_a_phase_that_does_not_apply_alone_fails_its_own_tests(phases: pytest.Pytester) -> None:
    """A row that cannot be loaded after an earlier phase fails the grid of its table there."""
    with (phases.path / "migrations/phase_1_notes/1_1_notes.sql").open("a") as file:
        file.write("ALTER TABLE shop.notes ADD CONSTRAINT no_bob CHECK (author <> 'bob');")
    with (phases.path / "migrations/phase_2_more/2_1_more.sql").open("a") as file:
        file.write("ALTER TABLE shop.notes DROP CONSTRAINT no_bob;")
    result = phases.runpytest_inprocess("test_notes.py")
    result.assert_outcomes(passed=40 + 16 + 3, failed=1)
    result.stdout.fnmatch_lines(["the world's row \"bob's note\" of shop.notes cannot be loaded: *no_bob*"])


# ------------------------------------------------------------------ tests with the mark

MARKED = """
import pytest


@pytest.mark.rolecall_from_phase(2)
@pytest.mark.parametrize("persona", ["alice", "keeper"])
def test_two(db, persona):
    with db.acting_as(persona):
        assert db.value("SELECT shop.two()") == 2
    db.execute("DELETE FROM shop.notes WHERE id = 2")


@pytest.mark.rolecall_from_phase(1)
def test_three(db, rolecall_phase):
    exists = db.value("SELECT to_regproc('shop.three') IS NOT NULL")
    assert exists == (rolecall_phase is None)
    assert db.value("SELECT count(*) FROM shop.notes") == 2


def test_usual(db):
    assert db.value("SELECT shop.three()") == 3
"""


def test_a_marked_test_runs_after_each_phase_from_its_own(phases: pytest.Pytester) -> None:
    phases.makepyfile(test_it=MARKED)
    result = phases.runpytest_inprocess("-v", "test_it.py")
    result.assert_outcomes(passed=4 + 3 + 1)
    for name in (
        "test_two[[]alice[]]",
        "test_two[[]after phase 2-alice[]]",
        "test_three",
        "test_three[[]after phase 1[]]",
    ):
        result.stdout.fnmatch_lines([f"test_it.py::{name} PASSED*"])


def test_a_marked_test_covers_nothing_after_an_earlier_phase(phases: pytest.Pytester) -> None:
    phases.makepyfile(test_it=MARKED)
    result = phases.runpytest_inprocess("test_it.py", "-k", "after and two")
    result.assert_outcomes(passed=2, deselected=6)
    result.stdout.fnmatch_lines(["  functions x personas    0 of 12*"])


def test_a_test_that_ends_its_transaction_gets_a_new_database(phases: pytest.Pytester) -> None:
    phases.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.parametrize("rolecall_phase", [2], ids=["after phase 2"])
        def test_commits(db):
            db.execute("DELETE FROM shop.pins")
            db.execute("COMMIT")

        @pytest.mark.parametrize("rolecall_phase", [2], ids=["after phase 2"])
        def test_after(db):
            assert db.value("SELECT count(*) FROM shop.pins") == 1
        """
    )
    phases.runpytest_inprocess("test_it.py").assert_outcomes(passed=2, errors=1)


@pytest.mark.parametrize("arguments", ["", "'two'", "2, 3"])
def test_a_mark_without_a_phase(phases: pytest.Pytester, arguments: str) -> None:
    phases.makepyfile(
        test_it=f"""
        import pytest

        @pytest.mark.rolecall_from_phase({arguments})
        def test_it(db): pass
        """
    )
    result = phases.runpytest_inprocess("test_it.py")
    assert (
        "test_it.py::test_it: write rolecall_from_phase(2), with the first phase"
        in result.stdout.str() + result.stderr.str()
    )
