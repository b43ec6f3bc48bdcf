"""`rolecall watch`: what runs after a save, and how it goes on and ends."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from rolecall.server.choose import Server
from tests.rolecall.watch.conftest import ANSWERED, NOTES, READY, STEP, Start, Watch

POLICY = 'CREATE POLICY "own notes are read" ON shop.notes FOR SELECT USING (author = shop.me());'
OPEN = POLICY.replace("author = shop.me()", "true")
Inventory = Callable[[psycopg.Connection[Any]], list[tuple[Any, ...]]]


# ------------------------------------------------------------------ what a save runs


def test_a_test_file_runs_alone(watch: Watch) -> None:
    text = watch.answer(lambda: watch.save(NOTES))
    assert "-- test_notes.py\n" in text
    assert "40 passed" in text
    right = (watch.folder / NOTES).read_text()
    text = watch.answer(lambda: watch.change(NOTES, "alice             yes ", "alice             -   "))
    assert "1 failed, 39 passed" in text
    text = watch.answer(lambda: watch.save(NOTES, right))
    assert "40 passed" in text


def test_a_policy_runs_the_tests_that_name_its_table(watch: Watch) -> None:
    text = watch.answer(lambda: watch.change(STEP, POLICY, OPEN))
    assert "-- shop.notes changed: the tests that name it\n" in text
    assert "2 failed, 38 passed" in text
    text = watch.answer(lambda: watch.change(STEP, OPEN, POLICY))
    assert "40 passed" in text


def test_a_view_runs_the_tests_that_name_it(watch: Watch) -> None:
    """There is no grid of it."""
    change = ("left(body, 3)", "left(body, 2)")
    text = watch.answer(lambda: watch.change("migrations/phase_1_notes/1_2_count_notes.sql", *change))
    assert "-- shop.titles changed: the tests that name it\n" in text
    assert "assert 'he' == 'her'" in text
    assert "1 failed" in text


def test_a_function_runs_the_grids_of_the_tables_that_use_it(watch: Watch) -> None:
    """The function is of the baseline, so everything is built again."""
    text = watch.answer(lambda: watch.change("baseline.sql", "->> 'sub'", "->> 'role'"))
    assert "-- shop.me changed: the tests that name it\n" in text
    assert re.search(r"\d+ failed, \d+ passed", text)
    assert "test_titles" not in text


def test_a_statement_that_names_nothing_runs_all_tests(watch: Watch) -> None:
    text = watch.answer(lambda: watch.change(STEP, POLICY, f"{POLICY}\nDO $$ BEGIN NULL; END $$;"))
    assert f"-- {STEP}: it is not known what changed: all tests\n" in text
    assert "43 passed" in text


def test_a_comment_runs_nothing(watch: Watch) -> None:
    text = watch.answer(lambda: watch.change(STEP, POLICY, f"-- read\n{POLICY}"))
    assert f"-- {STEP}: no statement changed\n" in text
    assert "passed" not in text


def test_a_script_runs_the_tests_of_migrations(watch: Watch) -> None:
    text = watch.answer(lambda: watch.save("migrations/phase_1_notes/verify.sql"))
    assert "verify.sql: the tests that run migrations\n" in text
    assert "1 passed" in text


def test_the_world_is_loaded_again(watch: Watch) -> None:
    text = watch.answer(lambda: watch.change("conftest.py", 'body="hers"', 'body="my own"'))
    assert "-- conftest.py may concern every test: all tests\n" in text
    assert "assert 'my ' == 'her'" in text
    text = watch.answer(lambda: watch.save("test_others.py"))
    assert "assert 'my ' == 'her'" in text


def test_a_module_is_imported_again(watch: Watch) -> None:
    text = watch.answer(lambda: watch.save("helper.py", "TITLE = 'his'\n"))
    assert "-- helper.py may concern every test: all tests\n" in text
    assert "assert 'her' == 'his'" in text


def test_settings_start_another_server(watch: Watch) -> None:
    text = (watch.folder / "pytest.ini").read_text()
    answer = watch.answer(lambda: watch.save("pytest.ini", f"{text}rolecall_default_privileges = granted\n"))
    assert "-- pytest.ini: all tests\n" in answer
    assert "default privileges granted" in answer
    assert "43 passed" in answer


def test_another_file_runs_nothing(watch: Watch) -> None:
    watch.save("notes.txt", "nothing")
    watch.save(".test_notes.py.swp", "nothing")
    assert watch.answer(lambda: watch.save(NOTES)).startswith("-- test_notes.py\n")


def test_only_what_the_arguments_select_runs(start: Start) -> None:
    watch = start("-q", "test_notes.py", "-k", "bob")
    watch.wait(READY)
    text = watch.answer(lambda: watch.save("test_others.py"))
    assert "-- test_others.py is not one of the tests to watch\n" in text
    assert "25 passed, 15 deselected" in watch.answer(lambda: watch.save(NOTES))
    assert "25 passed, 15 deselected" in watch.answer(lambda: watch.save("conftest.py"))


def test_xdist_runs_all_tests_and_no_others(start: Start) -> None:
    watch = start("-v", "-n", "2")
    watch.wait(READY)
    text = watch.answer(lambda: watch.save(NOTES))
    assert "40 passed" in text
    assert "[gw0]" not in text
    text = watch.answer(lambda: watch.save("conftest.py"))
    assert "43 passed" in text
    assert "[gw0]" in text


# ------------------------------------------------------------------ files that come and go


def test_several_files_are_one_run(watch: Watch) -> None:
    def save() -> None:
        watch.save(NOTES)
        watch.save("test_others.py")

    text = watch.answer(save)
    assert "-- test_notes.py; test_others.py\n" in text
    assert "42 passed" in text


def test_editors_that_write_by_a_new_name(watch: Watch) -> None:
    path = watch.folder / NOTES
    other = path.with_name("test_notes.py___jb_tmp___")

    def safe_write() -> None:
        other.write_text(path.read_text())
        path.rename(path.with_name("test_notes.py___jb_old___"))
        other.rename(path)
        path.with_name("test_notes.py___jb_old___").unlink()

    def vim() -> None:
        text = path.read_text()
        path.rename(path.with_name("test_notes.py~"))
        time.sleep(0.05)  # longer than it waits for more events
        path.write_text(text)
        path.with_name("test_notes.py~").unlink()

    for way in (safe_write, vim):
        text = watch.answer(way)
        assert "-- test_notes.py\n" in text
        assert "gone" not in text
        assert "ended" not in text
        assert "40 passed" in text


def test_a_new_file_in_a_new_folder(watch: Watch) -> None:
    def create() -> None:
        folder = watch.folder / "deep" / "deeper"
        folder.mkdir(parents=True)
        folder.joinpath("test_new.py").write_text("def test_new():\n    pass\n")

    assert "-- deep/deeper/test_new.py\n" in watch.answer(create)


def test_a_file_that_is_gone(watch: Watch) -> None:
    assert "-- test_notes.py is gone\n" in watch.answer((watch.folder / NOTES).unlink)


def test_steps_come_and_go(watch: Watch) -> None:
    step = watch.folder / "migrations/phase_1_notes/1_3_words.sql"
    words = "CREATE VIEW shop.words AS SELECT body FROM shop.notes;"
    watch.save("test_words.py", "def test_words(db):\n    db.execute('SELECT body FROM shop.words')\n")
    watch.wait(ANSWERED, len(READY))
    for act, result in (
        (lambda: step.write_text(words), "1 passed"),
        (lambda: step.rename(step.with_name("1_4_words.sql")), "1 passed"),
        (lambda: step.with_name("1_4_words.sql").unlink(), "1 failed"),
    ):
        text = watch.answer(act)
        assert "-- shop.words changed: the tests that name it\n" in text
        assert result in text


# ------------------------------------------------------------------ errors


def test_an_error_in_sql_is_shown_and_corrected(watch: Watch) -> None:
    wrong = POLICY.replace("SELECT", "SELEC")
    watch.answer(lambda: watch.change(STEP, POLICY, wrong))
    text = watch.wait("(author = shop.me());\n")
    assert f'ERROR: {STEP}:8:54: syntax error at or near "SELEC" (42601)' in text
    text = watch.answer(lambda: watch.change(STEP, wrong, OPEN))
    assert "-- shop.notes changed: the tests that name it\n" in text
    assert "2 failed, 38 passed" in text


def test_an_error_at_the_start(start: Start) -> None:
    watch = start("-q")
    step = watch.folder / STEP
    step.write_text(step.read_text().replace("FOR SELECT", "FOR SELEC"))
    text = watch.wait(READY)
    assert f"ERROR: {STEP}:8:54: syntax error" in text
    assert "43 passed" in watch.answer(lambda: watch.change(STEP, "FOR SELEC ", "FOR SELECT "))


def test_an_error_in_conftest(watch: Watch) -> None:
    start = len(watch.text)
    watch.save("conftest.py", (watch.folder / "conftest.py").read_text() + "\nimport nothing\n")
    watch.wait("No module named 'nothing'", start)
    assert "43 passed" in watch.answer(lambda: watch.change("conftest.py", "import nothing", ""))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nonsense"], "unrecognized arguments: --nonsense"),
        (["no_such_test.py"], "ERROR: file or directory not found: no_such_test.py"),
        (["--rolecall-pg=3"], "ERROR: --rolecall-pg is '3': choose one of 16, 17, 18."),
    ],
)
def test_wrong_arguments(start: Start, arguments: list[str], message: str) -> None:
    watch = start(*arguments)
    assert watch.status() == pytest.ExitCode.USAGE_ERROR
    assert message in watch.text
    assert READY not in watch.text


def test_help(start: Start) -> None:
    watch = start("--help")
    assert watch.status() == 0
    assert "PYTEST-ARGUMENTS" in watch.text


# ------------------------------------------------------------------ during a run


SLOW = """\
import os, time
from pathlib import Path

def test_slow():
    Path("began.part").write_text(str(os.getpid()))
    Path("began.part").rename("began")
    time.sleep(60)
"""


def begin_slow(watch: Watch) -> int:
    """Save a test that takes long, and wait until it runs. Returns the process that runs it."""
    watch.save("test_slow.py", SLOW)
    deadline = time.monotonic() + 30
    while not (watch.folder / "began").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return int((watch.folder / "began").read_text())


def test_a_save_during_a_run_ends_it(watch: Watch) -> None:
    process = begin_slow(watch)
    text = watch.answer(lambda: watch.save("test_slow.py", "def test_slow():\n    pass\n"))
    assert "-- ended: another file was saved\n" in text
    assert "1 passed" in text
    assert "KeyboardInterrupt" not in text
    assert not psutil.pid_exists(process)


def test_the_next_run_has_the_files_of_the_one_that_was_ended(watch: Watch) -> None:
    begin_slow(watch)
    start = len(watch.text)
    watch.save(NOTES)
    assert "-- test_notes.py; test_slow.py\n" in watch.wait("test_slow.py\n", start)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("slow", [False, True], ids=["idle", "during a run"])
def test_a_signal_ends_all(
    start: Start, toy_server: Server, inventory: Inventory, number: signal.Signals, slow: bool
) -> None:
    with closing(psycopg.connect(toy_server.conninfo)) as connection:
        before = inventory(connection)
        connection.rollback()
        watch = start("-q")
        watch.wait(READY)
        assert inventory(connection) != before
        connection.rollback()
        process = begin_slow(watch) if slow else None
        assert watch.end(number) == 0
        assert not (process and psutil.pid_exists(process))
        assert inventory(connection) == before


def test_a_signal_during_the_start_ends_all(start: Start, toy_server: Server, inventory: Inventory) -> None:
    with closing(psycopg.connect(toy_server.conninfo, autocommit=True)) as connection:
        before = inventory(connection)
        watch = start("-q")
        watch.wait("are prepared")
        assert watch.end() == 0
        assert READY not in watch.text
        assert inventory(connection) == before


# ------------------------------------------------------------------ keys


def test_keys(start: Start) -> None:
    watch = start("-q", terminal=True)
    assert "Enter runs all tests, q ends." in watch.wait("q ends.")
    text = watch.answer(lambda: watch.press("\n"))
    assert "-- all tests\n" in text
    assert "43 passed" in text
    assert "s after the key" in text
    watch.press("q")
    assert watch.status() == 0


def test_ctrl_c_is_for_the_watching_process(start: Start) -> None:
    watch = start("-q", terminal=True)
    watch.wait("q ends.")
    begin_slow(watch)
    watch.press("\x03")
    assert watch.status() == 0
    assert "KeyboardInterrupt" not in watch.text


# ------------------------------------------------------------------ a throwaway server


@pytest.fixture
def own_server(monkeypatch: pytest.MonkeyPatch, start: Start) -> Watch:
    """The command with a server of its own, when it watches."""
    monkeypatch.delenv("ROLECALL_PG_DSN")
    watch = start("-q")
    watch.wait(READY)
    return watch


def test_steps_may_make_roles(own_server: Watch) -> None:
    """Roles belong to the server, not to a database: they are dropped before they are made again."""
    grant = "\nCREATE ROLE toy_reader;\nGRANT SELECT ON shop.notes TO toy_reader;\n"
    own_server.change("platform.sql", "('toy_migrator', 'NOLOGIN')", "('toy_migrator', 'NOLOGIN CREATEROLE')")
    own_server.wait(ANSWERED)
    for text in (grant, grant.replace("SELECT", "UPDATE"), ""):
        step = (own_server.folder / STEP).read_text().partition("\nCREATE ROLE")[0]
        answer = own_server.answer(lambda text=text, step=step: own_server.save(STEP, step + text))  # type: ignore[misc]
        assert "ERROR" not in answer
        assert " passed" in answer


def test_its_directory_is_removed(own_server: Watch) -> None:
    (server,) = [
        argument.partition("=")[2]
        for process in own_server.children()
        for argument in process.cmdline()
        if argument.startswith("--unix_socket_directories=")
    ][:1]
    assert Path(server).is_dir()
    assert own_server.end() == 0
    assert not Path(server).is_dir()
    assert own_server.children() == []


def test_its_processes_end_when_it_is_killed(own_server: Watch) -> None:
    begin_slow(own_server)
    children = own_server.children()
    assert len(children) > 3
    own_server.process.kill()
    assert psutil.wait_procs(children, timeout=20)[1] == []
