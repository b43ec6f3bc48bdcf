"""A verdict with a question mark: observed, and not decided by a person."""

from __future__ import annotations

from pathlib import Path

import pytest

from rolecall import grid
from rolecall.errors import GridError

VISITOR = "visitor           !        !        !        !        !"
CELL = "test_notes.py::test_grid[alice's note-select-visitor]"
SUMMARY = "5 cells are not decided yet: test_notes.py 4, test_more.py 1: read them, and remove the question marks"


def edit(path: Path, *replacements: tuple[str, str]) -> None:
    text = path.read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)


@pytest.fixture
def undecided(toy: pytest.Pytester) -> pytest.Pytester:
    """The project, in which the visitor may read. Five cells are undecided, of which two look like a leak."""
    with (toy.path / "migrations/phase_1_notes/1_1_notes.sql").open("a") as file:
        file.write(
            'GRANT SELECT ON shop.notes TO toy_visitor; CREATE POLICY "v" ON shop.notes TO toy_visitor USING (true);'
        )
    notes = toy.path / "test_notes.py"
    edit(notes, (VISITOR, VISITOR.replace("!  ", "yes", 1)), (VISITOR, VISITOR.replace("!  ", "yes", 1)))
    (toy.path / "test_more.py").write_text(notes.read_text().replace("yes      !\n", "yes      !?\n", 1))
    edit(
        notes,
        ("keeper            yes  ", "keeper            yes? "),
        ("alice             yes  ", "alice             yes? "),
        ("visitor           yes  ", "visitor           yes? "),
        (
            "-        !        -        -        -\n      visitor",
            "-?       !        -        -        -\n      visitor",
        ),
    )
    return toy


@pytest.mark.parametrize("processes", ["0", "2"])
def test_undecided_cells_are_yellow_and_counted(undecided: pytest.Pytester, processes: str) -> None:
    run = undecided.runpytest_inprocess if processes == "0" else undecided.runpytest_subprocess
    result = run("-n", processes, "--color=yes", "test_notes.py", "test_more.py")
    assert result.ret == pytest.ExitCode.OK
    lines = [line.replace("\x1b[33m", "").replace("\x1b[31m", "").replace("\x1b[0m", "") for line in result.outlines]
    assert SUMMARY in lines
    assert [line for line in lines if "looks like a leak" in line] == [
        '  looks like a leak: test_notes.py:10: select on "alice\'s note" as visitor is yes? (visitor has no subject)'
    ]
    last = result.outlines[-1]
    assert "\x1b[32m75 passed" in last
    assert "\x1b[33m\x1b[1m5 undecided" in last
    assert last.startswith("\x1b[33m=")


def test_a_run_that_passes_is_green(toy: pytest.Pytester) -> None:
    last = toy.runpytest_inprocess("--color=yes", "test_notes.py").outlines[-1]
    assert last.startswith("\x1b[32m=")


def test_the_letter_and_the_word(undecided: pytest.Pytester) -> None:
    result = undecided.runpytest_inprocess("test_more.py")
    result.stdout.fnmatch_lines(["test_more.py ....[?]...*"])
    result = undecided.runpytest_inprocess("-v", CELL)
    result.stdout.fnmatch_lines([f"{CELL.replace('[', '[[]')} UNDECIDED *", "*= 1 undecided in *"])


def test_in_junit_the_cell_passes_and_its_output_says_so(undecided: pytest.Pytester) -> None:
    undecided.runpytest_inprocess(CELL, "--junit-xml", "junit.xml")
    text = (undecided.path / "junit.xml").read_text()
    assert 'errors="0" failures="0" skipped="0" tests="1"' in text
    assert '<system-out>rolecall undecided: select on "alice\'s note" as visitor is yes?</system-out>' in text


@pytest.mark.parametrize("processes", ["0", "2"])
def test_they_fail_if_they_must(undecided: pytest.Pytester, processes: str) -> None:
    ini = undecided.path / "pytest.ini"
    ini.write_text(ini.read_text().replace(" -p no:cacheprovider", ""))
    options = "-n", processes, "--rolecall-undecided", "fail", "test_notes.py", "test_more.py"
    result = undecided.runpytest_subprocess(*options)
    result.assert_outcomes(passed=75, failed=5)
    result.stdout.fnmatch_lines_random(
        [
            'select on "alice\'s note" as visitor is yes? in the grid, and nobody has decided it',
            "  written     test_notes.py:10",
            "  leak?       visitor has no subject",
            "If the verdict is right, remove the question mark. If not, *",
            SUMMARY,
        ]
    )
    undecided.runpytest_subprocess(*options, "--lf").assert_outcomes(failed=5)


def test_a_cell_whose_verdict_differs_fails_as_usual(undecided: pytest.Pytester) -> None:
    edit(undecided.path / "test_notes.py", ("visitor           yes?", "visitor           -?  "))
    result = undecided.runpytest_inprocess(CELL)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["  expected    -    no error, no row", "  got         yes  1 row"])
    result.stdout.no_fnmatch_line("*not decided*")


def test_without_question_marks_there_is_no_section(toy: pytest.Pytester) -> None:
    result = toy.runpytest_inprocess("test_notes.py")
    result.assert_outcomes(passed=40)
    result.stdout.no_fnmatch_line("*undecided*")


def test_many_leaks_are_not_all_named(undecided: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rolecall.report.terminal.MAX_LEAKS", 1)
    world = "\n".join(f'    world.persona("guest {n}", "toy_visitor")' for n in range(24))
    edit(undecided.path / "conftest.py", ("    return world", f"{world}\n    return world"))
    notes = undecided.path / "test_notes.py"
    others = "everyone else     yes?     !        !        !        !"
    edit(notes, ("      keeper", f"      {others}\n      keeper"), ('\n    """,\n', f'\n      {others}\n    """,\n'))
    result = undecided.runpytest_inprocess("test_notes.py", "-k", "select")
    cell = 'select on "alice\'s note" as visitor, guest 0, guest 1, guest 2 and 21 more is yes?'
    result.stdout.fnmatch_lines(
        [
            f"  looks like a leak: test_notes.py:10: {cell} (visitor has no subject)",
            "  and 1 more look like a leak",
        ],
        consecutive=True,
    )


def test_the_most_serious_reason_is_named_first(undecided: pytest.Pytester) -> None:
    """The personas after it may be cut off."""
    edit(
        undecided.path / "conftest.py",
        ("    return world", '    world.persona("guest", "toy_visitor", subject="g")\n    return world'),
    )
    notes = undecided.path / "test_notes.py"
    edit(
        notes,
        (
            "      alice             yes? ",
            "      guest             yes?     !        !        !        !\n      alice             yes? ",
        ),
        ('\n    """,\n', '\n      guest             yes      !        !        !        !\n    """,\n'),
    )
    result = undecided.runpytest_inprocess("test_notes.py", "-k", "alice and select")
    cell = 'select on "alice\'s note" as visitor, guest is yes?'
    result.stdout.fnmatch_lines([f"  looks like a leak: test_notes.py:11: {cell} (visitor has no subject)"])


# ------------------------------------------------------------------ reading

COMMANDS = "            select   insert   update   delete"


def test_the_mark_belongs_to_the_cell() -> None:
    notes = grid("shop.notes", f"{COMMANDS}\nalice's note\n  alice  yes?  yes/!?  -  yes/yes/!?", update="body = NULL")
    assert [(cell.expected, cell.decided) for cell in notes.cells] == [
        ("yes", False),
        ("yes/!", False),
        ("-", True),
        ("yes/yes/!", False),
    ]


@pytest.mark.parametrize("verdict", ["?", "yes??", "yes?/!", "?yes"])
def test_a_mark_elsewhere_is_an_error(verdict: str) -> None:
    with pytest.raises(GridError, match="expected names, then 4 verdicts"):
        grid("shop.notes", f"{COMMANDS}\nalice's note\n  alice  {verdict}  yes  -  -", update="body = NULL")


def test_a_before_is_decided() -> None:
    text = f"{COMMANDS}\nalice's note\n  alice  yes  yes  -  -"
    before = {2: "# a reason\n" + text.replace("-  -", "!  yes?")}
    with pytest.raises(GridError, match=r"before=\{2: …\} has 'yes\?', which is not decided: remove the question mark"):
        grid("shop.notes", text, update="body = NULL", before=before)
