"""The lock file in a project: it is written, compared, and says in words who gained access."""

import pytest

LOCK = "access.lock"


@pytest.fixture
def locked(toy: pytest.Pytester) -> pytest.Pytester:
    """The toy project with a lock file."""
    toy.makefile(".ini", pytest=(toy.path / "pytest.ini").read_text() + f"rolecall_access_lock = {LOCK}\n")
    return toy


def change(toy: pytest.Pytester, before: str, after: str) -> None:
    """Change the SQL of the project."""
    path = toy.path / "migrations/phase_1_notes/1_1_notes.sql"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def update(toy: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return toy.runpytest_subprocess("-q", "--rolecall-update", *arguments)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "with workers"])
def test_the_file_is_written_and_then_the_test_passes(locked: pytest.Pytester, workers: tuple[str, ...]) -> None:
    result = update(locked, *workers)
    result.stdout.fnmatch_lines(["rolecall: wrote access.lock: *"])
    text = (locked.path / LOCK).read_text()
    assert '  alice may select "alice\'s note" of shop.notes\n' in text
    assert "  keeper may call shop.count_notes()\n" in text
    result = locked.runpytest_subprocess("-q", *workers)
    assert "wrote" not in result.stdout.str()
    result.stdout.fnmatch_lines(
        ["*- rolecall -*", "rolecall: who can do what is as in access.lock; --rolecall-report FOLDER shows *"]
    )
    assert result.ret == pytest.ExitCode.OK
    assert (locked.path / LOCK).read_text() == text


def test_a_missing_file_is_an_error(locked: pytest.Pytester) -> None:
    result = locked.runpytest_subprocess("-q")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *access.lock does not exist: pytest --rolecall-update writes it."])


def test_a_change_of_the_sql_fails_in_words(locked: pytest.Pytester) -> None:
    update(locked)
    change(locked, "FOR SELECT USING (author = shop.me())", "FOR SELECT USING (true)")
    result = locked.runpytest_subprocess("-q", LOCK)
    result.stdout.fnmatch_lines(
        [
            "the access is not that of access.lock:",
            '  bob gained select on "alice\'s note" of shop.notes',
            "If that is right, run pytest --rolecall-update and commit access.lock. If not, correct the SQL.",
        ]
    )
    assert "who can do what is as in" not in result.stdout.str()
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_loss_fails_too_and_an_update_accepts_it(locked: pytest.Pytester) -> None:
    update(locked)
    change(locked, "GRANT SELECT, INSERT, UPDATE, DELETE ON", "GRANT SELECT ON")
    result = locked.runpytest_subprocess("-q", LOCK)
    result.stdout.fnmatch_lines(['  alice and keeper lost insert on "alice\'s note" of shop.notes'])
    update(locked, LOCK)
    locked.runpytest_subprocess("-q", LOCK).assert_outcomes(passed=1)


def test_a_file_with_a_conflict_fails_with_its_line(locked: pytest.Pytester) -> None:
    update(locked)
    path = locked.path / LOCK
    path.write_text(path.read_text().replace("persona bob", "<<<<<<< HEAD\npersona bob"))
    result = locked.runpytest_subprocess("-q", LOCK)
    result.stdout.fnmatch_lines(["*access.lock:6: a conflict of a merge is not resolved: run pytest *"])


def test_deselected_tests_do_not_write_half_a_file(locked: pytest.Pytester) -> None:
    update(locked)
    before = (locked.path / LOCK).read_text()
    change(locked, "FOR SELECT USING (author = shop.me())", "FOR SELECT USING (true)")
    result = update(locked, "test_notes.py")
    result.stdout.fnmatch_lines(["rolecall: access.lock is not written: not all of its tests ran"])
    assert (locked.path / LOCK).read_text() == before


def test_a_run_of_mutants_does_not_use_it(locked: pytest.Pytester) -> None:
    update(locked)
    result = locked.runpytest_subprocess("--rolecall-mutants", "--rolecall-mutants-of", "own notes are read", "-v")
    assert " killed" in result.stdout.str()
    assert "access.lock" not in result.stdout.str()
