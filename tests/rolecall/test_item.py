"""--lf works with cells and defects, as with other tests."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("processes", ["0", "2"])
def test_cells_that_failed_are_run_again(toy: pytest.Pytester, processes: str) -> None:
    ini, grid = toy.path / "pytest.ini", toy.path / "test_notes.py"
    ini.write_text(ini.read_text().replace(" -p no:cacheprovider", ""))
    grid.write_text(grid.read_text().replace("alice             -        !", "alice             yes      !"))
    toy.runpytest_subprocess("-n", processes).assert_outcomes(passed=40, failed=1)
    toy.runpytest_subprocess("-n", processes, "--lf").assert_outcomes(failed=1)
    toy.runpytest_subprocess("-n", processes, "--ff").assert_outcomes(passed=40, failed=1)


def test_lf_runs_a_failed_defect_with_all_its_tests(toy: pytest.Pytester) -> None:
    """Also if one of its tests failed too, and --lf leaves out the others of that module."""
    ini, grid = toy.path / "pytest.ini", toy.path / "test_notes.py"
    ini.write_text(ini.read_text().replace(" -p no:cacheprovider", ""))
    original = grid.read_text()
    grid.write_text(
        original.replace("bob               -        !        -  ", "bob               -        !        yes")
    )
    defect = toy.path / "defects/f1_anybody_reads.sql"
    sql = defect.read_text()
    defect.write_text("\n".join(sql.splitlines()[:2]) + "\nSELECT 1;\n")
    toy.runpytest_subprocess().assert_outcomes(passed=39, failed=2)
    defect.write_text(sql)
    toy.runpytest_subprocess("--lf").assert_outcomes(passed=1, failed=1)
