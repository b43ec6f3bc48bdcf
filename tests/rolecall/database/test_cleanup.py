"""A run that lives keeps what it has, whatever becomes of its sessions; of one that is dead nothing stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from rolecall import cli, settings
from rolecall.database import marks
from rolecall.database.cleanup import owned
from rolecall.database.marks import Mark
from rolecall.database.run import run_on
from rolecall.server import choose, directories
from rolecall.server.choose import Server

CELL = "test_notes.py::test_grid[bob's note-select-bob]"
SWEEP = [sys.executable, "-m", "rolecall", "sweep"]
ELSEWHERE = [
    sys.executable,
    "-c",
    "from rolecall import cli\nfrom rolecall.database import marks\n"
    "marks.machine = lambda: 'another'\ncli.main(['sweep'])",
]
Inventory = Callable[[psycopg.Connection[Any]], list[tuple[Any, ...]]]


@pytest.fixture
def owner(theirs: Server, toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection[Any]]:
    """Their connection to it, and the project set to use it."""
    assert toy.path.is_dir()
    monkeypatch.setenv("ROLECALL_PG_DSN", theirs.conninfo)
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # the outer run's worker is not the inner one's
    with psycopg.connect(theirs.conninfo, autocommit=True) as connection:
        yield connection


LOSES = '''
import subprocess, sys
import psycopg, pytest

SESSIONS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE application_name LIKE 'rolecall\\\\_%' AND pid <> pg_backend_pid() AND {which}
"""


def test_loses_its_sessions(db, scratch):
    with psycopg.connect({dsn!r}, autocommit=True) as outside:
        assert len(outside.execute(SESSIONS).fetchall()) >= 1
        for command in {commands!r}:
            done = subprocess.run(command, capture_output=True, text=True)
            assert (done.returncode, done.stdout.strip()) == (0, {told!r}), done
        names = [name for name, in outside.execute("SELECT datname FROM pg_database ORDER BY 1")]
        assert [name.rpartition("_")[2] for name in names if name.startswith("rolecall_")] == {left!r}
'''
KEEPER, ALL = "datname = 'postgres'", "true"


@pytest.mark.parametrize("processes", ["0", "2"])
@pytest.mark.parametrize(
    ("which", "commands"),
    [
        pytest.param(KEEPER, [SWEEP], id="the keeper's, a sweep on this machine"),
        pytest.param(KEEPER, [ELSEWHERE], id="the keeper's, a sweep on another"),
        pytest.param(ALL, [SWEEP], id="all, a sweep on this machine"),
    ],
)
def test_a_run_that_has_lost_sessions_keeps_its_databases_and_drops_them_at_the_end(
    toy: pytest.Pytester,
    owner: psycopg.Connection[Any],
    theirs: Server,
    inventory: Inventory,
    which: str,
    commands: list[list[str]],
    processes: str,
) -> None:
    before = inventory(owner)
    told = "\n".join(
        f"left role toy_{name}: a run that lives may use it" for name in ("keeper", "member", "migrator", "visitor")
    )
    left = ["baseline", "gw0", "migrated"] if processes == "2" else ["baseline", "main", "migrated"]
    toy.makepyfile(
        test_it=LOSES.replace("{which}", which).format(
            dsn=theirs.conninfo.reveal(), commands=commands, told=told, left=left
        )
    )
    result = toy.runpytest_subprocess("-n", processes, "--maxprocesses=1", "test_it.py")
    assert inventory(owner) == before
    if which == KEEPER:
        assert result.ret == pytest.ExitCode.OK
        result.assert_outcomes(passed=1)
    else:  # the test's own connection is gone, and that is told of the test
        result.assert_outcomes(passed=1, errors=1)
    assert "Traceback" not in result.stderr.str()
    assert "could not be dropped" not in result.stderr.str()


def test_a_server_that_ends_idle_sessions_does_not_end_the_run(
    toy: pytest.Pytester, owner: psycopg.Connection[Any], inventory: Inventory
) -> None:
    before = inventory(owner)
    for name in ("idle_session_timeout", "idle_in_transaction_session_timeout"):
        owner.execute(f"ALTER SYSTEM SET {name} = '300ms'".encode())
    owner.execute("SET idle_session_timeout = 0; SELECT pg_reload_conf()")
    try:
        toy.makepyfile(
            test_slow="import time\n\ndef test_slow(db): time.sleep(1)\n\ndef test_after(db): db.value('SELECT 1')"
        )
        result = toy.runpytest_subprocess("test_slow.py")
        assert inventory(owner) == before
    finally:
        owner.execute("ALTER SYSTEM RESET ALL")
        owner.execute("SELECT pg_reload_conf()")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=2)
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_what_could_not_be_dropped_is_said_and_the_exit_code_is_the_tests(
    toy: pytest.Pytester, owner: psycopg.Connection[Any], theirs: Server, inventory: Inventory
) -> None:
    before = inventory(owner)
    owner.execute("CREATE ROLE toy_leaver SUPERUSER LOGIN")
    toy.makepyfile(
        test_it=f"""
        import psycopg

        def test_it(db):
            with psycopg.connect({theirs.conninfo.reveal()!r}, autocommit=True) as outside:
                outside.execute("ALTER ROLE toy_leaver NOLOGIN")
        """
    )
    result = toy.runpytest_subprocess(f"--rolecall-pg-dsn={theirs.conninfo.to(user='toy_leaver')}", "test_it.py")
    assert result.ret == pytest.ExitCode.OK
    result.stderr.fnmatch_lines(
        [
            "rolecall: what this run made on the server could not be dropped: *is not permitted to log in",
            "Run `rolecall sweep` when it answers again; the next run does the same.",
        ]
    )
    assert "Traceback" not in result.stderr.str()
    subprocess.run(SWEEP, check=True)
    owner.execute("DROP ROLE toy_leaver")
    assert inventory(owner) == before


def test_roles_stay_while_another_run_may_be_about_to_use_them(
    toy: pytest.Pytester, owner: psycopg.Connection[Any], theirs: Server, inventory: Inventory
) -> None:
    """The last one that ends takes them along."""
    before = inventory(owner)
    other = run_on(choose.existing(theirs.conninfo))
    with owned(other):
        toy.runpytest_subprocess(CELL).assert_outcomes(passed=1)
        assert {row[1] for row in inventory(owner) if row[1].startswith("toy_")} == {
            "toy_keeper",
            "toy_member",
            "toy_migrator",
            "toy_visitor",
        }
    assert inventory(owner) == before


def test_several_runs_and_sweeps_at_once_do_not_come_between_each_other(
    toy: pytest.Pytester, owner: psycopg.Connection[Any], inventory: Inventory
) -> None:
    before = inventory(owner)
    command = [sys.executable, "-m", "pytest", "-q", CELL]
    for _ in range(3):
        children = [
            subprocess.Popen(each, cwd=toy.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for each in (command, SWEEP, command, ELSEWHERE, command)
        ]
        shown = [child.communicate(timeout=60)[0] for child in children]
        assert [child.returncode for child in children] == [0] * 5, shown
        assert inventory(owner) == before


# ------------------------------------------------------------------ which run lives


def test_a_run_lives_as_long_as_its_process() -> None:
    """On this machine; a number that is another process's by now is none, nor is one that is only not buried yet."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    created = psutil.Process(child.pid).create_time()
    mark = Mark("t", 1, "s", "rolecall_x", marks.machine(), child.pid, created)
    assert marks.is_alive(mark, set())
    assert not marks.is_alive(replace(mark, started=created - 5), {"rolecall_x"})
    child.kill()
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        threading.Event().wait(0.01)
    assert not marks.is_alive(mark, {"rolecall_x"})
    child.wait()
    assert not marks.is_alive(mark, {"rolecall_x"})
    child.stdin.close() if child.stdin else None


def test_a_run_on_another_machine_lives_as_long_as_it_has_a_session() -> None:
    mark = Mark("t", 1, "s", "rolecall_x", "another", os.getpid())
    assert marks.is_alive(mark, {"rolecall_x", "psql"})
    assert not marks.is_alive(mark, {"rolecall_y"})


def test_a_run_of_another_machine_that_is_dead_is_swept(
    owner: psycopg.Connection[Any], theirs: Server, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = inventory(owner)
    run = run_on(choose.existing(theirs.conninfo))
    monkeypatch.setattr(marks, "machine", lambda: "another")
    with run.maintain() as connection:
        marks.make_run(connection, run.name, run.token, connection.identity.system)
    run.create(run.baseline)
    monkeypatch.undo()
    done = subprocess.run([*SWEEP, f"--pg-dsn={theirs.conninfo}"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"removed database {run.baseline}", f"removed role {run.name}"]
    assert inventory(owner) == before


# ------------------------------------------------------------------ the command


@pytest.fixture
def left_behind(toy: pytest.Pytester, owner: psycopg.Connection[Any]) -> list[str]:
    """The lines for what a killed run has left."""
    toy.makepyfile(test_killed="import os, signal\ndef test_killed(db): os.kill(os.getpid(), signal.SIGKILL)")
    assert toy.runpytest_subprocess("test_killed.py").ret == -signal.SIGKILL
    (name,) = owner.execute("SELECT rolname FROM pg_roles WHERE rolname ~ '^rolecall_'").fetchone() or ("",)
    return [
        *(f"database {name}_{suffix}" for suffix in ("baseline", "main", "migrated")),
        f"role {name}",
        *(f"role toy_{role}" for role in ("keeper", "member", "migrator", "visitor")),
    ]


def test_it_says_what_it_would_remove_then_removes_it_then_there_is_nothing(
    owner: psycopg.Connection[Any], theirs: Server, left_behind: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def shown(*options: str) -> list[str]:
        assert cli.main(["sweep", *options]) == 0
        return capsys.readouterr().out.splitlines()

    assert shown("--dry-run", f"--pg-dsn={theirs.conninfo}") == [f"would remove {line}" for line in left_behind]
    assert shown("--dry-run") == [f"would remove {line}" for line in left_behind]
    assert shown() == [f"removed {line}" for line in left_behind]
    assert shown() == ["nothing was left behind"]
    assert owner.execute("SELECT count(*) FROM pg_roles WHERE rolname ~ '^(toy|rolecall)_'").fetchone() == (0,)


def test_a_server_that_does_not_answer_is_one_error(
    guarded: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROLECALL_PG_DSN", guarded.url(password="wrong"))  # noqa: S106
    assert cli.main(["sweep"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("ERROR: the server does not answer: connection failed: ")
    assert printed.err.endswith('FATAL: password authentication failed for user "toy_boss"\n')


def test_without_a_server_it_removes_directories_of_dead_runs(
    toy: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    pytestconfig: pytest.Config,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = replace(settings.read(pytestconfig), pg_dsn=None)
    monkeypatch.delenv("ROLECALL_PG_DSN")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", None)
        monkeypatch.setattr(directories, "MEMORY", Path(folder))
        toy.makepyfile(test_killed="import os, signal\ndef test_killed(db): os.kill(os.getpid(), signal.SIGKILL)")
        with choose.running(asked) as living:
            assert toy.runpytest_subprocess("test_killed.py").ret == -signal.SIGKILL
            mine = str(Path(living.conninfo.params["host"]).parent)
            (dead,) = {str(each) for each in Path(folder).glob("rolecall-*")} - {mine}
            Path(folder, "rolecall-backup").mkdir()
            Path(folder, "rolecall-link").symlink_to(mine)
            lines = sorted(
                [(mine, f"left directory {mine}: a run that lives uses it"), (dead, f"{{}} directory {dead}")]
            )
            capsys.readouterr()
            for options, did in ((["--dry-run"], "would remove"), ([], "removed")):
                assert cli.main(["sweep", *options]) == 0
                assert capsys.readouterr().out.splitlines() == [line.format(did) for _, line in lines]
            assert not Path(dead).exists()
            living_still = psycopg.connect(living.conninfo)
            living_still.close()
        assert sorted(each.name for each in Path(folder).iterdir()) == ["rolecall-backup", "rolecall-link"]


def test_the_command_is_installed_under_its_name() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"rolecall": "rolecall.cli:main"}
    done = subprocess.run([sys.executable, "-m", "rolecall", "--help"], capture_output=True, text=True, check=True)
    assert "remove what killed runs left" in done.stdout
    done = subprocess.run([sys.executable, "-m", "rolecall"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
