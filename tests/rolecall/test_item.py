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


def test_the_reports_of_a_cell_share_what_is_equal(toy: pytest.Pytester) -> None:
    """pytest keeps all of them until its end: three for each of perhaps 100,000 cells."""
    reports = toy.inline_run("-p", "no:cacheprovider", "test_notes.py").getreports("pytest_runtest_logreport")
    cells = [report for report in reports if "test_grid[" in report.nodeid]
    assert len(cells) >= 3 * 2
    by_cell: dict[str, set[int]] = {}
    for report in cells:
        assert report.nodeid.split("::")[-1] in report.keywords
        by_cell.setdefault(report.nodeid, set()).add(id(report.keywords))
    assert {len(dictionaries) for dictionaries in by_cell.values()} == {1}


def test_a_mark_that_comes_during_a_cell_is_in_the_later_reports(toy: pytest.Pytester) -> None:
    toy.makepyfile(late="def pytest_runtest_call(item):\n    item.add_marker('xdist_group')\n")
    toy.syspathinsert()
    recorder = toy.inline_run("-p", "late", "-p", "no:cacheprovider", "test_notes.py")
    reports = [each for each in recorder.getreports("pytest_runtest_logreport") if "test_grid[" in each.nodeid]
    assert {("xdist_group" in each.keywords, each.when) for each in reports} == {
        (False, "setup"),
        (True, "call"),
        (True, "teardown"),
    }
