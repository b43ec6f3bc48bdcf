"""A migrations folder with a wrong layout is one clear error before any test runs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

PHASE = Path("migrations/phase_1_notes")


def add(path: Path, text: str = "SELECT 1;\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def second_phase(folder: Path, name: str) -> None:
    for file in ("2_1_more.sql", "verify.sql", "rollback.sql"):
        add(folder / "migrations" / name / file)


def two_steps_of_one_number(folder: Path) -> str:
    add(folder / PHASE / "1_2_titles.sql")
    return (
        "two steps have the number 1_2: 1_2_count_notes.sql and 1_2_titles.sql, "
        f"in {folder / PHASE}. Their order is not clear: renumber one."
    )


def two_steps_of_one_number_written_differently(folder: Path) -> str:
    add(folder / PHASE / "1_02_titles.sql")
    return (
        "two steps have the number 1_2: 1_02_titles.sql and 1_2_count_notes.sql, "
        f"in {folder / PHASE}. Their order is not clear: renumber one."
    )


def two_phases_of_one_number(folder: Path) -> str:
    for name in ("phase_2_more", "phase_2_again"):
        second_phase(folder, name)
    return "two phases have the number 2: phase_2_again and phase_2_more. Their order is not clear: renumber one."


def no_rollback(folder: Path) -> str:
    (folder / PHASE / "rollback.sql").unlink()
    return f"{folder / PHASE} has no rollback.sql: write the script that removes the phase."


def no_verify(folder: Path) -> str:
    (folder / PHASE / "verify.sql").unlink()
    advice = "write the script that fails if something of the phase is missing or different"
    return f"{folder / PHASE} has no verify.sql: {advice}."


def step_in_another_phase(folder: Path) -> str:
    add(folder / PHASE / "2_1_more.sql")
    return f"{folder / PHASE / '2_1_more.sql'}: step 2_1 is in the folder of phase 1: move or rename it."


def step_that_is_a_link_to_nothing(folder: Path) -> str:
    (folder / PHASE / "1_3_more.sql").symlink_to("../gone.sql")
    return f"{folder / PHASE / '1_3_more.sql'} is a link to ../gone.sql, which does not exist: replace or remove it."


def step_that_is_a_pipe(folder: Path) -> str:
    os.mkfifo(folder / PHASE / "1_3_more.sql")
    return f"{folder / PHASE / '1_3_more.sql'} is not a file: replace or remove it."


def step_without_a_number(folder: Path) -> str:
    add(folder / PHASE / "more.sql")
    return f"{folder / PHASE / 'more.sql'} is not the name of a step: rename it, for example to 1_1_notes.sql."


def step_with_a_suffix_in_capitals(folder: Path) -> str:
    """Some file systems do not distinguish capitals: the file would be a step on some systems only."""
    add(folder / PHASE / "1_3_more.SQL")
    return f"{folder / PHASE / '1_3_more.SQL'} is not the name of a step: rename it, for example to 1_1_notes.sql."


def file_beside_the_phases(folder: Path) -> str:
    add(folder / "migrations" / "1_3_more.sql")
    return f"{folder / 'migrations/1_3_more.sql'} is in no phase: move it into a folder phase_1_…."


def folder_that_is_no_phase(folder: Path) -> str:
    add(folder / "migrations" / "later" / "3_1_more.sql")
    return f"{folder / 'migrations/later'} is not the name of a phase: rename it, for example to phase_1_notes."


def phase_without_a_step(folder: Path) -> str:
    for path in (folder / PHASE).glob("1_*.sql"):
        path.unlink()
    return f"{folder / PHASE} has no step: write 1_1_….sql."


def no_phase(folder: Path) -> str:
    shutil.rmtree(folder / PHASE)
    with (folder / "pytest.ini").open("a") as file:
        file.write("rolecall_layout = phases\n")
    return f"{folder / 'migrations'} has no phase: create a folder phase_1_… with the steps."


BROKEN = [
    two_steps_of_one_number,
    two_steps_of_one_number_written_differently,
    two_phases_of_one_number,
    no_rollback,
    no_verify,
    step_in_another_phase,
    step_that_is_a_link_to_nothing,
    step_that_is_a_pipe,
    step_without_a_number,
    step_with_a_suffix_in_capitals,
    file_beside_the_phases,
    folder_that_is_no_phase,
    phase_without_a_step,
    no_phase,
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__.replace("_", " "))
def test_a_wrong_layout_is_one_error_before_any_test(toy: pytest.Pytester, broken: object) -> None:
    assert callable(broken)
    message = broken(toy.path)
    result = toy.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stderr.lines == [f"ERROR: {message}", ""]
    result.assert_outcomes()
    assert "Traceback" not in result.stdout.str()


def test_a_wrong_layout_is_one_error_with_several_processes(toy: pytest.Pytester) -> None:
    message = no_rollback(toy.path)
    result = toy.runpytest_subprocess("-n", "2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.stderr.lines if line] == [f"ERROR: {message}"]
    result.assert_outcomes()
    assert "Traceback" not in result.stdout.str()


def test_hidden_files_monitor_sql_and_other_files_are_ignored(toy: pytest.Pytester) -> None:
    for name in (".git/x", "__pycache__/x", "_drafts/1_1_x.sql", "README.md", "monitor.sql", "phase_1_notes/README.md"):
        add(toy.path / "migrations" / name)
    result = toy.runpytest_inprocess("test_notes.py::test_grid[bob's note-select-bob]")
    result.assert_outcomes(passed=1)


def test_steps_and_phases_are_applied_in_the_order_of_their_numbers(toy: pytest.Pytester) -> None:
    """1_10 comes after 1_9, and phase 10 after phase 2."""
    add(toy.path / PHASE / "1_9_item.sql", "CREATE TABLE shop.item (id int);")
    add(toy.path / PHASE / "1_10_named.sql", "ALTER TABLE shop.item RENAME TO named;")
    add(toy.path / PHASE / "1_2_1_dropped.sql", "DROP VIEW shop.titles;")
    second_phase(toy.path, "phase_10_more")
    second_phase(toy.path, "phase_2_more")
    add(toy.path / "migrations/phase_2_more/2_1_more.sql", "ALTER TABLE shop.named RENAME TO renamed;")
    (toy.path / "migrations/phase_10_more/2_1_more.sql").unlink()
    add(toy.path / "migrations/phase_10_more/10_1_more.sql", "DROP TABLE shop.renamed;")
    toy.makepyfile(
        test_order="""
        def test_order(rolecall_manifest):
            assert rolecall_manifest.rollbacks == ["phase_1_notes", "phase_2_more", "phase_10_more"]
            assert rolecall_manifest.of_kind("view") == []
        """
    )
    toy.runpytest_inprocess("test_order.py").assert_outcomes(passed=1)


# ------------------------------------------------------------------ settings that stay in the session

STEP = """\
SET search_path = shop;
SET LOCAL work_mem = '2MB';
SET TIME ZONE 'UTC'; SET ROLE toy_migrator; SET app.tenant = 'x'; RESET app.tenant;
SELECT set_config('app.one', 'x', false), set_config('app.two', 'x', true);
SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE;
CREATE FUNCTION shop.f() RETURNS int LANGUAGE sql SET search_path = shop AS 'SELECT 1';
DO $$
BEGIN
  SET statement_timeout = '1min';
  SET LOCAL lock_timeout = '1min';
  PERFORM set_config('app.three', '', false);
  UPDATE shop.notes SET body = 'x';
END $$;
"""
NOTES = [
    "1_3_more.sql:1: SET search_path stays in the session: use SET LOCAL search_path.",
    "1_3_more.sql:3: SET TIME ZONE stays in the session: use SET LOCAL TIME ZONE.",
    "1_3_more.sql:3: SET ROLE stays in the session: use SET LOCAL ROLE.",
    "1_3_more.sql:4: set_config('app.one', …, false) stays in the session: give true.",
    "1_3_more.sql:5: SET SESSION CHARACTERISTICS stays in the session: use SET TRANSACTION.",
    "1_3_more.sql:9: SET statement_timeout stays in the session: use SET LOCAL statement_timeout.",
    "1_3_more.sql:11: set_config('app.three', …, false) stays in the session: give true.",
    "verify.sql:1: SET row_security stays in the session: use SET LOCAL row_security.",
]


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_setting_that_stays_in_the_session_is_noted_with_and_without_the_cache(
    toy: pytest.Pytester, processes: str
) -> None:
    """In a runner with one session for all files, it would reach the next file."""
    add(toy.path / PHASE / "1_3_more.sql", STEP)
    add(toy.path / PHASE / "verify.sql", "SET row_security = off;")
    add(toy.path / "baseline.sql", (toy.path / "baseline.sql").read_text() + "SET work_mem = '2MB';\n")
    for _ in ("built", "from the cache"):
        result = toy.runpytest_subprocess(
            "-n", processes, "--rolecall-pg-dsn=", "--rolecall-cache-dir=cache", "test_notes.py"
        )
        result.assert_outcomes(passed=40)
        notes = [line.strip() for line in result.outlines if "  note: " in line]
        assert notes == [f"note: {PHASE}/{note}" for note in NOTES]
