"""With --rolecall-update, what was observed is written into the grids."""

from __future__ import annotations

from pathlib import Path

import pytest

EMPTY = '''\
from rolecall import grid

test_grid = grid(
    "shop.notes",
    """
                        select   insert   update   delete   hand over
    """,
    update="body = 'changed'",
    moves={"hand over": "author = {bob}"},
)
'''
FILLED = """\
                        select   insert   update   delete   hand over
    alice's note
      alice             yes?     yes?     yes?     yes?     !?
      bob               -?       !?       -?       -?       -?
      visitor           !?       !?       !?       !?       !?
      keeper            yes?     yes?     yes?     yes?     yes?

    bob's note
      alice             -?       !?       -?       -?       -?
      bob, keeper       yes?     yes?     yes?     yes?     yes?
      visitor           !?       !?       !?       !?       !?
"""


@pytest.fixture
def notes(toy: pytest.Pytester) -> Path:
    """The module of the grid."""
    return toy.path / "test_notes.py"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def run(toy: pytest.Pytester, *options: str, processes: str = "0") -> pytest.RunResult:
    start = toy.runpytest_inprocess if processes == "0" else toy.runpytest_subprocess
    return start("-n", processes, "--rolecall-update", "test_notes.py", *options)


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_grid_of_commands_alone_is_filled(toy: pytest.Pytester, notes: Path, processes: str) -> None:
    notes.write_text(EMPTY)
    result = run(toy, processes=processes)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["40 cells are not decided yet: test_notes.py 40: *", "rewrote 40 cells in test_notes.py: git diff shows them"]
    )
    header, _, end = EMPTY.partition("                        select   insert   update   delete   hand over\n")
    assert notes.read_text() == header + FILLED + end
    again = run(toy)
    again.stdout.fnmatch_lines(["*= 40 undecided in *"])
    again.stdout.no_fnmatch_line("rewrote*")
    assert notes.read_text() == header + FILLED + end


def test_undecided_cells_fail_only_without_the_update(toy: pytest.Pytester, notes: Path) -> None:
    """A project says in its configuration that they must fail in CI."""
    notes.write_text(EMPTY)
    assert run(toy, "--rolecall-undecided", "fail").ret == pytest.ExitCode.OK
    toy.runpytest_inprocess("test_notes.py", "--rolecall-undecided", "fail").assert_outcomes(failed=40)


@pytest.mark.parametrize("processes", ["0", "2"])
def test_cells_that_differ_are_rewritten(toy: pytest.Pytester, notes: Path, processes: str) -> None:
    right = notes.read_text()
    edit(notes, "bob               -        !", "bob               yes      !")
    edit(
        notes,
        "keeper            yes      yes      yes      yes      yes\n      alice",
        "keeper   !     yes  -     yes  yes\n      alice",
    )
    result = run(toy, processes=processes)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["rewrote 5 cells in test_notes.py: git diff shows them", "*= 35 passed, 5 undecided in *"]
    )
    assert notes.read_text() == right.replace("bob               -        !", "bob               -?       !").replace(
        "keeper            yes      yes      yes      yes      yes\n      alice",
        "keeper   yes?  yes  yes?  yes  yes\n      alice",
    )


def test_a_new_persona_and_a_new_row_get_lines(toy: pytest.Pytester, notes: Path) -> None:
    before = notes.read_text()
    world = '    world.persona("guest", "toy_visitor")\n    world.add("shop.notes", "a note", id=3, author="x")\n'
    edit(toy.path / "conftest.py", "    return world", f"{world}    return world")
    edit(notes, "visitor           !", "everyone else     !")
    result = run(toy)
    result.stdout.fnmatch_lines(["rewrote 30 cells in test_notes.py: git diff shows them"])
    end = '    """,\n    update'
    new = """\
      guest             !?       !?       !?       !?       !?

    a note
      alice, bob        -?       !?       -?       -?       -?
      visitor, guest    !?       !?       !?       !?       !?
      keeper            yes?     yes?     yes?     yes?     yes?
"""
    expected = before.replace("visitor           !", "everyone else     !", 1).replace(end, new + end)
    assert notes.read_text() == expected
    run(toy).assert_outcomes(passed=45)


def test_an_incomplete_grid_has_only_its_cells(toy: pytest.Pytester, notes: Path) -> None:
    """What tests the whole grid would fail for want of the verdicts that this run writes."""
    notes.write_text(EMPTY.replace("\n)", '\n    decided_by=["author"],\n    changes={},\n)'))
    result = run(toy)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*= 40 undecided in *"])
    run(toy).assert_outcomes(passed=7)


def test_only_the_cells_that_run_are_written(toy: pytest.Pytester, notes: Path) -> None:
    edit(notes, "bob               -        !", "bob               yes      -")
    edit(notes, "      visitor           !        !        !        !        !\n", "")
    result = run(toy, "-k", "select")
    result.stdout.fnmatch_lines(
        [
            "rewrote 1 cell in test_notes.py: git diff shows them",
            "test_notes.py:3: 'visitor' under \"alice's note\" is left out: not all of its cells have a verdict.",
        ]
    )
    text = notes.read_text()
    assert "bob               -?       -" in text
    assert text.count("visitor") == 1


def test_a_cell_with_an_error_fails_and_is_not_written(toy: pytest.Pytester, notes: Path) -> None:
    edit(notes, "body = 'changed'", "body = 'much too long'")
    before = notes.read_text()
    result = run(toy)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=4, passed=36)
    assert notes.read_text() == before


def test_a_text_that_is_computed_is_left_alone(toy: pytest.Pytester, notes: Path) -> None:
    edit(notes, "bob               -        !", "bob               yes      !")
    edit(notes, '    """,\n    update', '    """ + "",\n    update')
    before = notes.read_text()
    result = run(toy)
    result.stdout.fnmatch_lines(["test_notes.py:3: this grid is left alone: its text is computed."])
    assert notes.read_text() == before


def test_a_file_that_has_changed_is_left_alone(toy: pytest.Pytester, notes: Path) -> None:
    edit(notes, "bob               -        !", "bob               yes      !")
    with notes.open("a") as file:
        file.write("\n\ndef test_edit():\n    with open(__file__, 'a') as file:\n        file.write('# edited')\n")
    result = run(toy)
    text = "test_notes.py has changed since the run began: nothing is written there. Run again."
    result.stdout.fnmatch_lines([text])
    assert "yes      !" in notes.read_text()


def test_a_file_that_is_gone_is_left_alone(toy: pytest.Pytester, notes: Path) -> None:
    edit(notes, "bob               -        !", "bob               yes      !")
    with notes.open("a") as file:
        file.write("\n\ndef test_unlink():\n    import os\n    os.unlink(__file__)\n")
    run(toy).stdout.fnmatch_lines(["test_notes.py cannot be written: No such file or directory."])
    assert not notes.exists()


def test_an_interrupted_run_writes_nothing(toy: pytest.Pytester, notes: Path) -> None:
    edit(notes, "bob               -        !", "bob               yes      !")
    with notes.open("a") as file:
        file.write("\n\ndef test_interrupt():\n    raise KeyboardInterrupt\n")
    before = notes.read_text()
    result = toy.runpytest_subprocess(
        "--rolecall-update", "test_notes.py"
    )  # in this process, it would end this run too
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.no_fnmatch_line("rewrote*")
    assert notes.read_text() == before


def test_without_the_option_nothing_is_written(toy: pytest.Pytester, notes: Path) -> None:
    edit(notes, "bob               -        !", "bob               yes      !")
    before = notes.read_text()
    toy.runpytest_inprocess("test_notes.py").assert_outcomes(passed=39, failed=1)
    assert notes.read_text() == before


def test_encoding_and_line_ends_stay(toy: pytest.Pytester, notes: Path) -> None:
    edit(notes, "bob               -        !", "bob               yes      !")
    text = "# -*- coding: latin-1 -*-\n# caf\u00e9\n" + notes.read_text()
    notes.write_bytes(text.replace("\n", "\r\n").encode("latin-1"))
    run(toy).stdout.fnmatch_lines(["rewrote 1 cell in test_notes.py: git diff shows them"])
    new = text.replace("bob               yes      !", "bob               -?       !")
    assert notes.read_bytes() == new.replace("\n", "\r\n").encode("latin-1")


def test_a_defect_is_still_caught(toy: pytest.Pytester, notes: Path) -> None:
    """In a trial, what differs fails, and nothing of it is written."""
    before = notes.read_text()
    toy.runpytest_inprocess("--rolecall-update").assert_outcomes(passed=41)
    assert notes.read_text() == before


def test_not_with_mutants(toy: pytest.Pytester) -> None:
    result = run(toy, "--rolecall-mutants")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--rolecall-update and --rolecall-mutants exclude each other*"])
