"""Many failures: a digest takes the place of their explanations."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

LEAK = 'ALTER POLICY "own notes are read" ON shop.notes USING (true);'
LOCK = "REVOKE DELETE ON shop.notes FROM toy_member;"


def break_migration(toy: pytest.Pytester, *statements: str) -> None:
    """Add statements to the end of the step that creates the table."""
    with (toy.path / "migrations/phase_1_notes/1_1_notes.sql").open("a") as file:
        file.write("\n".join(statements))


def use_cache(toy: pytest.Pytester) -> None:
    """Run with pytest's cache, which the toy project switches off."""
    ini = toy.path / "pytest.ini"
    ini.write_text(ini.read_text().replace("-p no:cacheprovider", ""))


def run(toy: pytest.Pytester, *options: str, processes: str = "0") -> list[str]:
    """The lines of a run in which tests fail."""
    start = toy.runpytest_inprocess if processes == "0" else toy.runpytest_subprocess
    result = start("-n", processes, "--deselect", "defects", "--rolecall-digest-from", "2", *options)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    return result.stdout.lines


def digest(lines: list[str]) -> list[str]:
    """The lines of the digest: everything between its headline and the last line of pytest."""
    (start,) = (number for number, line in enumerate(lines) if "digest of" in line)
    return lines[start + 1 : -1]


@pytest.mark.parametrize("processes", ["0", "2"])
def test_cells_that_let_somebody_in_come_first(toy: pytest.Pytester, processes: str) -> None:
    break_migration(toy, LOCK, LEAK)
    toy.makepyfile(test_python="def test_python(rolecall_db): assert rolecall_db is None, 'an example'")
    lines = digest(run(toy, processes=processes))
    titles = [line for line in lines if line.endswith(":")]
    assert titles == [
        "2 cells let somebody in who should have no access:",
        "2 cells refuse somebody who should have access:",
        "2 cells refuse in another way than expected:",
        "1 other test fails:",
    ]
    assert '     2  shop.notes: policy "own notes are read"  (select as alice, bob)' in lines
    assert "     2  shop.notes: no DELETE privilege  (delete as alice, bob)" in lines
    assert '   e.g. bob: select on "alice\'s note" of shop.notes' in lines
    assert "     1  test_python.py  (AssertionError: an example)" in lines


def test_the_digest_is_the_last_of_all_sections(toy: pytest.Pytester) -> None:
    break_migration(toy, LEAK)
    lines = run(toy)
    sections = [name for name in ("FAILURES", "- rolecall -", "digest of") for line in lines if name in line]
    assert [name for line in lines for name in sections if name in line] == sections
    assert not any("short test summary" in line for line in lines)
    assert lines[-1].startswith("=")
    assert "2 failed" in lines[-1]


def test_few_failures_are_shown_as_pytest_shows_them(toy: pytest.Pytester) -> None:
    break_migration(toy, LEAK)
    for number in ("3", "0"):
        lines = run(toy, "--rolecall-digest-from", number)
        assert any("FAILURES" in line for line in lines)
        assert not any("digest of" in line for line in lines)


def test_tests_that_do_not_use_rolecall_are_shown_as_pytest_shows_them(toy: pytest.Pytester) -> None:
    break_migration(toy, LEAK)
    toy.makepyfile(test_plain="def test_plain(): assert 'their own' == ''")
    lines = run(toy)
    assert "E   AssertionError: assert 'their own' == ''" in lines
    assert not any("their own" in line for line in digest(lines))


def test_no_summary_has_no_digest(toy: pytest.Pytester) -> None:
    break_migration(toy, LEAK)
    assert not any("digest of" in line for line in run(toy, "--no-summary"))


def test_all_explanations_are_in_a_file(toy: pytest.Pytester) -> None:
    break_migration(toy, LEAK)
    use_cache(toy)
    lines = run(toy)
    (advice,) = (line for line in lines if line.startswith("All failures:"))
    text = Path(toy.path, advice.split()[-1]).read_text()
    assert text.count("-> lets the row through") == 2
    assert "test_notes.py::test_grid[bob's note-select-alice]" in text


def test_without_pytests_cache_there_is_no_file(toy: pytest.Pytester) -> None:
    break_migration(toy, LEAK)
    assert not any(line.startswith("All failures:") for line in digest(run(toy)))


def test_a_cache_that_cannot_be_written_costs_the_file_only(toy: pytest.Pytester) -> None:
    break_migration(toy, LEAK)
    (toy.path / ".pytest_cache/d/rolecall/failures.txt").mkdir(parents=True)
    use_cache(toy)
    lines = digest(run(toy))
    assert lines[0] == "2 cells let somebody in who should have no access:"
    assert not any(line.startswith("All failures:") for line in lines)


def test_the_advice_runs_the_worst_failure(toy: pytest.Pytester) -> None:
    break_migration(toy, LOCK, LEAK)
    lines = digest(run(toy))
    (advice,) = (line for line in lines if line.startswith("One of them:"))
    assert shlex.split(advice)[-2:] == ["pytest", "test_notes.py::test_grid[alice's note-select-bob]"]


def test_the_advice_runs_one_mutant(toy: pytest.Pytester) -> None:
    """A mutant is in no file that pytest could collect."""
    break_migration(toy, LEAK)
    lines = digest(run(toy, "--rolecall-mutants", "--rolecall-mutants-of", "own notes are deleted"))
    (advice,) = (line for line in lines if line.startswith("One of them:"))
    _, _, _, pytest_, *arguments = shlex.split(advice)
    assert pytest_ == "pytest"
    result = toy.runpytest_inprocess("-n", "0", *arguments, "-v")
    result.assert_outcomes(failed=1)
    assert f"FAILED mutants::{arguments[-1]}" in result.stdout.str()


def test_errors_in_the_setup_have_a_section(toy: pytest.Pytester) -> None:
    toy.makepyfile(
        test_setup="""
        import pytest

        @pytest.fixture
        def broken(rolecall_db):
            raise RuntimeError("no such order")

        @pytest.mark.parametrize("number", range(5))
        def test_orders(broken, number): pass
        """
    )
    lines = digest(run(toy))
    assert lines[:4] == [
        "5 tests could not run:",
        "     5  RuntimeError: no such order",
        "   e.g. test_setup.py::test_orders[0]",
        "        RuntimeError: no such order",
    ]


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_run_that_passes_has_no_digest(toy: pytest.Pytester, processes: str) -> None:
    result = toy.runpytest_subprocess("-n", processes, "--rolecall-digest-from", "1")
    assert result.ret == pytest.ExitCode.OK
    assert "digest of" not in result.stdout.str()


def test_the_last_line_counts_the_folded_failures(toy: pytest.Pytester) -> None:
    break_migration(toy, LEAK)
    result = toy.runpytest_inprocess("--deselect", "defects", "--rolecall-digest-from", "1")
    result.assert_outcomes(failed=2, passed=38)


def test_cells_whose_row_cannot_be_loaded_could_not_run(toy: pytest.Pytester) -> None:
    """They are not failures of a policy. The constraint also breaks one cell, in which alice gives her note to bob."""
    break_migration(toy, "ALTER TABLE shop.notes ADD CONSTRAINT no_bob CHECK (author <> 'bob');")
    lines = digest(run(toy))
    number = lines.index("20 tests could not run:")
    assert lines[number + 1].startswith("    20  the world's row \"bob's note\" of shop.notes cannot be loaded:")


# ------------------------------------------------------------------ grids


GRID = [
    "test_notes.py:3: yes≠!: expected yes, got !",
    "               select   insert   update   delete   hand over",
    "     alice's note  (2 other personas are right)",
    "   8   alice   yes      yes      yes      yes≠!    !",
    "   9   bob     -≠yes    !        -        -≠!      -",
    "     bob's note  (2 other personas are right)",
    "  15   bob     yes      yes      yes      yes≠!    yes",
    "  16   alice   -≠yes    !        -        -≠!      -",
]


@pytest.mark.parametrize("processes", ["0", "2"])
def test_failed_cells_of_one_grid_are_shown_as_the_grid(toy: pytest.Pytester, processes: str) -> None:
    """The worst cell is explained, and the others have a line for each reason. The short summary has all cells."""
    break_migration(toy, LOCK, LEAK)
    toy.makepyfile(test_plain="def test_plain(): assert 'their own' == ''")
    lines = run(toy, "--rolecall-digest-from", "0", processes=processes)
    start = next(number for number, line in enumerate(lines) if "6 of 40 cells of shop.notes differ" in line)
    assert lines[start + 1 : start + 10] == [*GRID, ""]
    assert lines[start + 10] == 'bob: select on "alice\'s note" of shop.notes'
    assert [line for line in lines if line.startswith("and ")] == [
        'and 1 let in: policy "own notes are read"  (select as alice)',
        "and 2 refused: no DELETE privilege  (delete as alice, bob)",
        "and 2 refused in another way: no DELETE privilege  (delete as alice, bob)",
    ]
    assert sum(line.startswith("  got ") for line in lines) == 1
    assert sum(line.startswith("FAILED test_notes.py::test_grid[") for line in lines) == 6
    assert "E   AssertionError: assert 'their own' == ''" in lines
    assert "7 failed" in lines[-1]


def test_one_failed_cell_is_a_paragraph(toy: pytest.Pytester) -> None:
    break_migration(toy, LEAK)
    lines = run(toy, "--rolecall-digest-from", "0", "-x")
    assert not any("cells of shop.notes differ" in line for line in lines)
    assert sum(line.startswith("  got ") for line in lines) == 1


def test_cells_that_did_not_run_are_marked(toy: pytest.Pytester) -> None:
    break_migration(toy, LOCK, LEAK)
    lines = run(toy, "--rolecall-digest-from", "0", "-k", "(select or delete) and (alice or bob)")
    assert "   8   alice   yes      ·        ·        yes≠!    ·" in lines
    assert "   9   bob     -≠yes    ·        ·        -≠!      ·" in lines
    assert "test_notes.py:3: yes≠!: expected yes, got !; · was not tried" in lines


@pytest.mark.parametrize("style", ["no", "line"])
def test_the_styles_of_pytest(toy: pytest.Pytester, style: str) -> None:
    break_migration(toy, LEAK)
    lines = run(toy, "--rolecall-digest-from", "0", f"--tb={style}")
    assert not any("≠" in line for line in lines)
    assert ("test_notes.py:3: 2 of 40 cells of shop.notes differ" in lines) is (style == "line")


def test_junit_and_last_failed_have_each_cell(toy: pytest.Pytester) -> None:
    break_migration(toy, LEAK)
    use_cache(toy)
    run(toy, "--rolecall-digest-from", "0", "--junit-xml=junit.xml")
    xml = (toy.path / "junit.xml").read_text()
    assert [text.count("-&gt; lets the row through</failure>") for text in xml.split("<testcase ")].count(1) == 2
    toy.runpytest_inprocess("--lf", "--deselect", "defects").assert_outcomes(failed=2)


def test_a_digest_has_only_the_lines_of_the_worst_grids(toy: pytest.Pytester) -> None:
    """And its file has all of them."""
    break_migration(toy, LOCK, LEAK)
    use_cache(toy)
    for name in "bcdefgh":
        text = (toy.path / "test_notes.py").read_text()
        few = text.replace("bob               -  ", "bob               yes") if name == "b" else text
        (toy.path / f"test_{name}.py").write_text(few)
    lines = run(toy)
    titles = [line.strip("_ ") for line in lines if "cells of shop.notes differ" in line]
    assert titles == ["6 of 40 cells of shop.notes differ"] * 6
    assert "and 11 wrong cells in 2 more grids" in lines
    assert not any(line.startswith("and 1 let in") for line in lines)
    (advice,) = (line for line in lines if line.startswith("All failures:"))
    text = Path(toy.path, advice.split()[-1]).read_text()
    assert text.count("6 of 40 cells of shop.notes differ\n") == 7
    assert text.count("5 of 40 cells of shop.notes differ\n") == 1
    assert text.startswith(
        "6 of 40 cells of shop.notes differ\n" + "\n".join(GRID).replace("test_notes.py", "test_c.py")
    )
