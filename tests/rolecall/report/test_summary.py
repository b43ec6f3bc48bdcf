"""The summary of a run: what was proven, how much of the schema was covered, and what was not."""

from __future__ import annotations

import pytest

from rolecall.report.results import CellTally
from rolecall.report.summary import gaps, in_words
from tests.rolecall.toy_suite import SUITE, coverage_lines


def test_superuser_statements_cover_nothing(toy: pytest.Pytester) -> None:
    """The superuser bypasses all policies, and is no persona."""
    toy.makepyfile(test_other="def test_other(db): db.execute('SELECT shop.count_notes() FROM shop.titles')")
    result = toy.runpytest_inprocess("test_other.py")
    assert coverage_lines(result) == [
        "  policies                0 of 4   without shop.notes: own notes are changed and 3 more",
        "  constraints             0 of 4   without shop.notes: notes_pkey, shop.notes: short_body and 2 more",
        "  functions x personas    0 of 4   without shop.count_notes as alice and 3 more",
        "  views x personas        0 of 4   without shop.titles as alice, shop.titles as bob and 2 more",
        "  rollbacks               0 of 1   without phase_1_notes",
    ]


def test_a_wide_terminal_shows_three_names(toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    toy.makepyfile(test_other="def test_other(db): pass")
    lines = coverage_lines(toy.runpytest_inprocess("test_other.py"))
    names = [f"shop.titles as {persona}" for persona in ("alice", "bob", "visitor")]
    assert f"  views x personas        0 of 4   without {', '.join(names)} and 1 more" in lines


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_complete_suite_covers_everything(toy: pytest.Pytester, processes: str) -> None:
    (toy.path / "test_rest.py").write_text(SUITE)
    run = toy.runpytest_inprocess if processes == "0" else toy.runpytest_subprocess
    result = run("-n", processes)
    result.assert_outcomes(passed=47)
    assert "4 personas tried 40 cells of 1 grid: every cell is as its grid says." in result.stdout.lines
    assert "  policies                4 of 4     a grid tried each of their commands" in result.stdout.lines
    assert "not proven" not in result.stdout.str()
    assert coverage_lines(result) == [
        "  policies                4 of 4",
        "  constraints             4 of 4",
        "  functions x personas    4 of 4",
        "  views x personas        4 of 4",
        "  rollbacks               1 of 1",
    ]


def test_a_gap_in_the_suite_is_named(toy: pytest.Pytester) -> None:
    """One command of a policy, one persona, one constraint: three gaps, and nothing else."""
    rest = SUITE.replace(', "keeper"]', "]").replace('constraint="short_body"', 'message="short_body"')
    (toy.path / "test_rest.py").write_text(rest)
    result = toy.runpytest_inprocess("-k", "not delete")
    assert coverage_lines(result) == [
        "  policies                3 of 4   without shop.notes: own notes are deleted",
        "  constraints             3 of 4   without shop.notes: short_body",
        "  functions x personas    3 of 4   without shop.count_notes as keeper",
        "  views x personas        3 of 4   without shop.titles as keeper",
        "  rollbacks               1 of 1",
    ]


def test_only_objects_of_the_migrations_are_counted(toy: pytest.Pytester) -> None:
    """Constraints of the baseline's tables are not counted."""
    (toy.path / "migrations/phase_1_notes/1_2_count_notes.sql").unlink()
    baseline = toy.path / "baseline.sql"
    baseline.write_text(baseline.read_text() + "CREATE TABLE shop.old (id int PRIMARY KEY);\n")
    result = toy.runpytest_inprocess("test_notes.py")
    assert [line.split("   ")[0].strip() for line in coverage_lines(result)] == ["policies", "constraints", "rollbacks"]
    assert "shop.old" not in result.stdout.str()


@pytest.mark.parametrize("processes", ["0", "2"])
def test_cells_that_differ_and_those_that_nobody_decided_are_counted(toy: pytest.Pytester, processes: str) -> None:
    grid = toy.path / "test_notes.py"
    wrong = (
        grid.read_text()
        .replace("bob               -  ", "bob               yes")
        .replace("yes      !\n", "yes      !?\n", 1)
    )
    grid.write_text(wrong)
    toy.makepyfile(test_other="import pytest\n@pytest.mark.skip\ndef test_other(): pass")
    run = toy.runpytest_inprocess if processes == "0" else toy.runpytest_subprocess
    result = run("-n", processes, "test_notes.py", "test_other.py")
    text = "4 personas tried 40 cells of 1 grid: 38 are as the grid says, 1 differs, 1 is not decided."
    assert text in result.stdout.lines
    assert "not proven: only some tests were selected; 1 test skipped" in result.stdout.lines


def test_a_run_that_stops_says_so(toy: pytest.Pytester) -> None:
    grid = toy.path / "test_notes.py"
    grid.write_text(grid.read_text().replace("bob               -  ", "bob               yes"))
    result = toy.runpytest_inprocess("-x")
    assert "not proven: the run ended early" in result.stdout.lines


def test_a_cell_whose_row_cannot_be_loaded_proves_nothing(toy: pytest.Pytester) -> None:
    with (toy.path / "migrations/phase_1_notes/1_1_notes.sql").open("a") as file:
        file.write("ALTER TABLE shop.notes ADD CONSTRAINT no_bob CHECK (author <> 'bob');")
    result = toy.runpytest_inprocess("test_notes.py")
    result.stdout.fnmatch_lines(
        ["4 personas tried 20 cells of 1 grid: *", "not proven: *; 20 cells could not be tried"]
    )


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        (CellTally(1, 1, 1), "1 persona tried 1 cell of 1 grid: every cell is as its grid says."),
        (CellTally(17, 14, 4515), "14 personas tried 4,515 cells of 17 grids: every cell is as its grid says."),
        (CellTally(2, 2, 1, wrong=1), "2 personas tried 2 cells of 2 grids: 1 is as the grid says, 1 differs."),
        (
            CellTally(2, 2, 0, 2, 3),
            "2 personas tried 5 cells of 2 grids: 0 are as the grid says, 2 differ, 3 are not decided.",
        ),
        (CellTally(2, 2, 2, failed=1), "2 personas tried 2 cells of 2 grids: every cell is as its grid says."),
    ],
)
def test_cells_in_words(cells: CellTally, text: str) -> None:
    assert in_words(cells) == text


def test_gaps() -> None:
    every = gaps(CellTally(1, 1, 0, failed=2), skipped=1, deselected=1000, ended_early=True, is_selection=True)
    assert every == [
        "the run ended early",
        "1,000 tests deselected",
        "1 test skipped",
        "2 cells could not be tried",
    ]
    nothing = gaps(CellTally(0, 0, 0), skipped=0, deselected=0, ended_early=False, is_selection=False)
    assert nothing == []
