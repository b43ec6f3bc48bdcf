"""rolecall costs other projects nothing, and works with other plugins and options of pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rolecall import fixtures
from rolecall.grids.grid import Grid
from rolecall.grids.outcomes import GridOutcomes

LIGHT = {"rolecall", "rolecall.errors", "rolecall.fixtures", "rolecall.plugin", "rolecall.settings"}
HEAVY = ("psycopg", "postgast", "google", "psutil", "asyncio", "faker", "hypothesis")
OPTIONAL = (
    *("postgast", "google.protobuf", "rolecall.mutants", "rolecall.oracle", "rolecall.coverage.observer"),
    *("rolecall.coverage.columns", "rolecall.noninterference.kinds", "rolecall.access_map", "rolecall.dump.loading"),
)
CELL = "test_notes.py::test_grid[alice's note-select-alice]"
CELLS = 40


def imported_modules(module: str) -> set[str]:
    """The modules that a new Python has imported after pytest and a module."""
    program = f"import pytest, sys\nbefore = set(sys.modules)\nimport {module}\nprint(*set(sys.modules) - before)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


# ------------------------------------------------------------------ imports


def test_a_project_without_rolecall_imports_five_modules_of_it() -> None:
    modules = imported_modules("rolecall.plugin")
    assert {name for name in modules if name.startswith("rolecall")} == LIGHT
    assert [name for name in modules if name.startswith(HEAVY)] == []


def test_the_parser_and_the_mutants_are_imported_on_demand() -> None:
    modules = imported_modules("rolecall.hooks")
    assert "rolecall.worker" in modules
    assert [name for name in modules if name.startswith(OPTIONAL)] == []


def test_another_operating_system_is_refused_in_one_sentence() -> None:
    program = "import os; os.name = 'nt'; import rolecall"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    last = result.stderr.splitlines()[-1]
    assert last == "ImportError: rolecall needs a POSIX system such as Linux; on Windows, use it inside WSL."


def test_the_public_names_exist() -> None:
    import rolecall

    assert all(getattr(rolecall, name) for name in rolecall.__all__)
    with pytest.raises(AttributeError, match="module 'rolecall' has no attribute 'nothing'"):
        _ = rolecall.nothing


@pytest.mark.parametrize(
    ("option", "starts"),
    [("--collect-only", False), ("--help", False), ("--markers", False), ("--fixtures", False), ("-x", True)],
)
def test_only_a_run_with_tests_starts_a_server(
    toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, option: str, starts: bool
) -> None:
    """It starts before the tests are imported, which takes as long."""
    monkeypatch.delenv("ROLECALL_PG_DSN")
    program, started = toy.path / "postgres", toy.path / "started"
    program.write_text(f"#!/bin/sh\ntouch {started}\nexit 1\n")
    program.chmod(0o755)
    (toy.path / "test_notes.py").write_text(f"from pathlib import Path\nassert Path({str(started)!r}).exists()\n")
    result = toy.runpytest_subprocess("--rolecall-pg-bin", toy.path, option)
    assert started.exists() is starts
    if starts:
        assert "AssertionError" not in result.stdout.str()


# ------------------------------------------------------------------ other plugins

DJANGO_LIKE = """
import pytest


def pytest_addoption(parser):
    for name in ("--baseline", "--mutants", "--pg", "--grants", "--coverage", "--oracle"):
        parser.addoption(name)


@pytest.fixture
def db():
    pytest.skip("no Django settings")


@pytest.fixture
def world():
    pytest.skip("no Django settings")
"""


def test_other_plugins_may_have_the_short_names(toy: pytest.Pytester) -> None:
    (toy.path / "other.py").write_text(DJANGO_LIKE)
    conftest = toy.path / "conftest.py"
    conftest.write_text(conftest.read_text().replace("def db(", "def mine("))
    toy.makepyfile(test_it="def test_it(rolecall_db, mine): assert rolecall_db.value('SELECT 1') == 1")
    result = toy.runpytest_subprocess("-p", "other", "--baseline=x", "test_it.py", "test_notes.py")
    result.assert_outcomes(passed=CELLS + 1)


@pytest.mark.parametrize("name", fixtures.NAMES)
def test_a_plugin_that_hides_a_fixture_is_an_error(toy: pytest.Pytester, name: str) -> None:
    (toy.path / "other.py").write_text(f"import pytest\n\n@pytest.fixture\ndef {name}(): pytest.skip('hidden')\n")
    with (toy.path / "conftest.py").open("a") as file:
        file.write("\n\npytest_plugins = ['other']\n")  # registered last, as any plugin may be
    toy.makepyfile(test_it=f"def test_it({name}): pass")
    result = toy.runpytest_subprocess("test_it.py")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*another fixture hides rolecall's: {name} of other.*"])


def test_a_conftest_may_extend_a_fixture(toy: pytest.Pytester) -> None:
    with (toy.path / "conftest.py").open("a") as file:
        file.write("\n\n@pytest.fixture\ndef rolecall_db(rolecall_db):\n    yield rolecall_db\n")
    toy.makepyfile(test_it="def test_it(db): assert db.value('SELECT 1') == 1")
    toy.runpytest_inprocess("test_it.py").assert_outcomes(passed=1)


def test_pytest_postgresql_works_on_the_same_server(toy: pytest.Pytester) -> None:
    """Both plugins in one project: its noproc fixture queries the databases of rolecall's run."""
    address = dict(part.split("=", 1) for part in os.environ["ROLECALL_PG_DSN"].replace("'", "").split())
    toy.makepyfile(
        test_both=f"""
        from pytest_postgresql import factories

        server = factories.postgresql_noproc(host={address["host"]!r}, port={int(address["port"])}, user="rolecall")
        postgresql = factories.postgresql("server")


        def test_both(postgresql, rolecall_db):
            databases = postgresql.execute("SELECT datname FROM pg_database WHERE datname ^@ 'rolecall_'").fetchall()
            assert (rolecall_db.connection.info.dbname,) in databases
        """
    )
    result = toy.runpytest_subprocess("-W", "ignore", "test_both.py", "test_notes.py")
    result.assert_outcomes(passed=CELLS + 1)


# ------------------------------------------------------------------ pytest's own options


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["-p", "no:xdist"], id="-p no:xdist"),
        pytest.param(["-p", "no:cacheprovider"], id="-p no:cacheprovider"),
        pytest.param(["-o", "addopts=", "--import-mode=importlib"], id="--import-mode=importlib"),
        pytest.param(["-o", "addopts=", "--import-mode=prepend"], id="--import-mode=prepend"),
        pytest.param(["-p", "no:terminal"], id="-p no:terminal"),
        pytest.param(["-p", "no:rolecall-nothing"], id="an unknown plugin blocked"),
        pytest.param(["--tb=no", "-q", "-q"], id="quiet"),
    ],
)
def test_options_of_pytest(toy: pytest.Pytester, options: list[str]) -> None:
    result = toy.runpytest_subprocess(*options)
    assert result.ret == pytest.ExitCode.OK
    if "no:terminal" not in options and "-q" not in options:
        result.assert_outcomes(passed=CELLS + 1)


@pytest.mark.parametrize("level", ["1", "2"])
@pytest.mark.parametrize("processes", ["0", "2"])
def test_without_asserts_and_docstrings(
    toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, level: str, processes: str
) -> None:
    """A grid is as strict as with asserts: rolecall does not rely on any."""
    monkeypatch.setenv("PYTHONOPTIMIZE", level)
    options = ("-n", processes, "-W", "ignore", "test_notes.py")
    toy.runpytest_subprocess(*options).assert_outcomes(passed=CELLS)
    path = toy.path / "test_notes.py"
    path.write_text(
        path.read_text().replace("      bob               -        !", "      bob               yes      !")
    )
    toy.runpytest_subprocess(*options).assert_outcomes(passed=CELLS - 1, failed=1)


def test_mutants_without_asserts_and_docstrings(toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    result = toy.runpytest_subprocess(
        "--rolecall-mutants", "--rolecall-mutants-operator", "policy-drop", "-W", "ignore", "test_notes.py"
    )
    result.stdout.fnmatch_lines(["killed by behaviour 4 (100.0%)*"])


def test_from_another_folder(toy: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = toy.runpytest_subprocess("--rootdir", toy.path, "-c", toy.path / "pytest.ini", toy.path)
    result.assert_outcomes(passed=CELLS + 1)


@pytest.mark.parametrize(
    ("argument", "passed"),
    [("below", CELLS), ("below/test_notes.py", CELLS), (f"below/{CELL}", 1), ("below/test_notes.py::test_grid", CELLS)],
)
def test_a_part_of_the_suite(toy: pytest.Pytester, argument: str, passed: int) -> None:
    (toy.path / "below").mkdir()
    (toy.path / "test_notes.py").rename(toy.path / "below" / "test_notes.py")
    toy.runpytest_subprocess(argument).assert_outcomes(passed=passed)


@pytest.mark.parametrize(
    ("options", "cells"),
    [
        pytest.param(["-k", "select-alice"], {2}, id="a part"),
        pytest.param([], {CELLS}, id="all"),
        pytest.param(["-k", "select-alice", "--rolecall-coverage"], {CELLS}, id="coverage, which is of whole grids"),
        pytest.param(["-k", "no such cell"], set(), id="none"),
    ],
)
def test_only_the_selected_cells_are_tried(
    toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, options: list[str], cells: set[int]
) -> None:
    tried: set[int] = set()  # a defect tries the grid again
    original = GridOutcomes.try_grid

    def note(outcomes: GridOutcomes, grid: Grid) -> Any:
        tried.add(len(grid.cells))
        return original(outcomes, grid)

    monkeypatch.setattr(GridOutcomes, "try_grid", note)
    toy.runpytest_inprocess("-n", "0", *options)
    assert tried == cells


def test_a_selected_cell_that_is_wrong_fails(toy: pytest.Pytester) -> None:
    module = toy.path / "test_notes.py"
    module.write_text(module.read_text().replace("alice             yes      yes", "alice             -        yes"))
    result = toy.runpytest_subprocess("-k", "select-alice")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["  got         yes  1 row"])


def test_the_native_configuration_is_typed(toy: pytest.Pytester) -> None:
    (toy.path / "pytest.ini").unlink()
    (toy.path / "pytest.toml").write_text(
        """
        [pytest]
        addopts = ["--strict-config", "--import-mode=importlib", "-p", "no:cacheprovider"]
        rolecall_platform = "platform.sql"
        rolecall_baseline = "baseline.sql"
        rolecall_migrations = "migrations"
        rolecall_migration_role = ["toy_migrator"]
        rolecall_cache_dir = "off"
        rolecall_world_seed = 2
        rolecall_pg = 18
        rolecall_coverage = false
        rolecall_tables_without_grid = ["shop.orders: filled by a job"]
        """
    )
    (toy.path / "migrations/phase_1_notes/1_3_orders.sql").write_text(
        "CREATE TABLE shop.orders (id int PRIMARY KEY); ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;"
    )
    result = toy.runpytest_subprocess()
    result.assert_outcomes(passed=CELLS)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["rolecall: *; seed 2"])


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('rolecall_world_seed = "two"', "rolecall_world_seed: give a whole number (*)."),
        ("rolecall_coverage = 1", "rolecall_coverage: give true or false (*)."),
        ("rolecall_baseline = 1", "rolecall_baseline: give a string (*)."),
        ("rolecall_migration_role = 1", "rolecall_migration_role: give words, or a list of strings (*)."),
    ],
)
def test_a_wrong_type_is_one_error(toy: pytest.Pytester, line: str, error: str) -> None:
    (toy.path / "pytest.ini").unlink()
    (toy.path / "pytest.toml").write_text(f"[pytest]\n{line}\n")
    result = toy.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {error}"])
