"""--lf: cells are tests like others, and those that failed are run again alone."""

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
