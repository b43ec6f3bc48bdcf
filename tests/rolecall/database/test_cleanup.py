"""A living run keeps its databases and roles, even without its sessions. Those of a dead run are dropped."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import tomllib
from collections.abc import Callable
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
from tests.rolecall.database.server_objects import Connection, Inventory

CELL = "test_notes.py::test_grid[bob's note-select-bob]"
SWEEP = [sys.executable, "-m", "rolecall", "sweep"]
SWEEP_ELSEWHERE = [
    sys.executable,
    "-c",
    "from rolecall import cli\nfrom rolecall.database import marks\n"
    "marks.machine = lambda: 'another'\ncli.main(['sweep'])",
]


TEST = '''
import subprocess, sys
import psycopg, pytest

END_SESSIONS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE application_name LIKE 'rolecall\\\\_%' AND pid <> pg_backend_pid() AND {which}
"""


def test_loses_its_sessions(db, scratch):
    with psycopg.connect({dsn!r}, autocommit=True) as outside:
        assert len(outside.execute(END_SESSIONS).fetchall()) >= 1
        for command in {commands!r}:
            result = subprocess.run(command, capture_output=True, text=True)
            assert (result.returncode, result.stdout.strip()) == (0, {output!r}), result
        names = [name for name, in outside.execute("SELECT datname FROM pg_database ORDER BY 1")]
        assert [name.rpartition("_")[2] for name in names if name.startswith("rolecall_")] == {suffixes!r}
'''
FIRST, ALL = "datname = 'postgres'", "true"  # the connection that shows that the run is alive, and all of them


@pytest.mark.parametrize("processes", ["0", "2"])
@pytest.mark.parametrize(
    ("which", "commands"),
    [
        pytest.param(FIRST, [SWEEP], id="the first session, a sweep on this machine"),
        pytest.param(FIRST, [SWEEP_ELSEWHERE], id="the first session, a sweep on another machine"),
        pytest.param(ALL, [SWEEP], id="all sessions, a sweep on this machine"),
    ],
)
def test_a_run_without_its_sessions_keeps_its_databases_and_drops_them_at_the_end(
    toy: pytest.Pytester,
    superuser: Connection,
    running_server: Server,
    inventory: Inventory,
    which: str,
    commands: list[list[str]],
    processes: str,
) -> None:
    before = inventory(superuser)
    output = "\n".join(
        f"kept role toy_{name}: a run that is alive may use it" for name in ("keeper", "member", "migrator", "visitor")
    )
    suffixes = ["baseline", "gw0", "migrated"] if processes == "2" else ["baseline", "main", "migrated"]
    toy.makepyfile(
        test_it=TEST.replace("{which}", which).format(
            dsn=running_server.conninfo.reveal(), commands=commands, output=output, suffixes=suffixes
        )
    )
    result = toy.runpytest_subprocess("-n", processes, "--maxprocesses=1", "test_it.py")
    assert inventory(superuser) == before
    if which == FIRST:
        assert result.ret == pytest.ExitCode.OK
        result.assert_outcomes(passed=1)
    else:  # the test's own connection is closed, too
        result.assert_outcomes(passed=1, errors=1)
    assert "Traceback" not in result.stderr.str()
    assert "could not be dropped" not in result.stderr.str()


def test_a_server_that_ends_idle_sessions_does_not_end_the_run(
    toy: pytest.Pytester, superuser: Connection, inventory: Inventory
) -> None:
    before = inventory(superuser)
    for name in ("idle_session_timeout", "idle_in_transaction_session_timeout"):
        superuser.execute(f"ALTER SYSTEM SET {name} = '300ms'".encode())
    superuser.execute("SET idle_session_timeout = 0; SELECT pg_reload_conf()")
    try:
        toy.makepyfile(
            test_slow="import time\n\ndef test_slow(db): time.sleep(1)\n\ndef test_after(db): db.value('SELECT 1')"
        )
        result = toy.runpytest_subprocess("test_slow.py")
        assert inventory(superuser) == before
    finally:
        superuser.execute("ALTER SYSTEM RESET ALL")
        superuser.execute("SELECT pg_reload_conf()")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=2)
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_a_run_that_cannot_drop_its_databases_says_so_and_keeps_its_exit_code(
    toy: pytest.Pytester, superuser: Connection, running_server: Server, inventory: Inventory
) -> None:
    before = inventory(superuser)
    superuser.execute("CREATE ROLE toy_leaver SUPERUSER LOGIN")
    toy.makepyfile(
        test_it=f"""
        import psycopg

        def test_it(db):
            with psycopg.connect({running_server.conninfo.reveal()!r}, autocommit=True) as outside:
                outside.execute("ALTER ROLE toy_leaver NOLOGIN")
        """
    )
    result = toy.runpytest_subprocess(
        f"--rolecall-pg-dsn={running_server.conninfo.to(user='toy_leaver')}", "test_it.py"
    )
    assert result.ret == pytest.ExitCode.OK
    result.stderr.fnmatch_lines(
        [
            "rolecall: the databases and roles of this run could not be dropped: *is not permitted to log in",
            "Run `rolecall sweep` when the server answers again; the next run does the same.",
        ]
    )
    assert "Traceback" not in result.stderr.str()
    subprocess.run(SWEEP, check=True)
    superuser.execute("DROP ROLE toy_leaver")
    assert inventory(superuser) == before


def test_roles_are_kept_as_long_as_another_run_is_alive(
    toy: pytest.Pytester, superuser: Connection, running_server: Server, inventory: Inventory
) -> None:
    """The last run drops them."""
    before = inventory(superuser)
    other = run_on(choose.existing(running_server.conninfo))
    with owned(other):
        toy.runpytest_subprocess(CELL).assert_outcomes(passed=1)
        assert {row[1] for row in inventory(superuser) if row[1].startswith("toy_")} == {
            "toy_keeper",
            "toy_member",
            "toy_migrator",
            "toy_visitor",
        }
    assert inventory(superuser) == before


def test_runs_and_sweeps_at_the_same_time_do_not_disturb_each_other(
    toy: pytest.Pytester, superuser: Connection, inventory: Inventory
) -> None:
    before = inventory(superuser)
    command = [sys.executable, "-m", "pytest", "-q", CELL]
    for _ in range(3):
        children = [
            subprocess.Popen(each, cwd=toy.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for each in (command, SWEEP, command, SWEEP_ELSEWHERE, command)
        ]
        outputs = [child.communicate(timeout=60)[0] for child in children]
        assert [child.returncode for child in children] == [0] * 5, outputs
        assert inventory(superuser) == before


# ------------------------------------------------------------------ which run is alive


def test_a_run_is_alive_as_long_as_its_process() -> None:
    """On this machine. Another process with the same pid does not count, and neither does a zombie."""
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


def test_a_run_on_another_machine_is_alive_as_long_as_it_has_a_session() -> None:
    mark = Mark("t", 1, "s", "rolecall_x", "another", os.getpid())
    assert marks.is_alive(mark, {"rolecall_x", "psql"})
    assert not marks.is_alive(mark, {"rolecall_y"})


def test_a_dead_run_of_another_machine_is_swept(
    superuser: Connection, running_server: Server, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = inventory(superuser)
    run = run_on(choose.existing(running_server.conninfo))
    monkeypatch.setattr(marks, "machine", lambda: "another")
    with run.maintain() as connection:
        marks.make_run(connection, run.name, run.token, connection.identity.system)
    run.create(run.baseline)
    monkeypatch.undo()
    result = subprocess.run([*SWEEP, f"--pg-dsn={running_server.conninfo}"], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == [f"removed database {run.baseline}", f"removed role {run.name}"]
    assert inventory(superuser) == before


# ------------------------------------------------------------------ the command


def test_sweep_lists_and_then_removes_what_a_killed_run_left(
    superuser: Connection, running_server: Server, killed_run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    leftovers = [
        *(f"database {killed_run}_{suffix}" for suffix in ("baseline", "main", "migrated")),
        f"role {killed_run}",
        *(f"role toy_{role}" for role in ("keeper", "member", "migrator", "visitor")),
    ]

    def output(*options: str) -> list[str]:
        assert cli.main(["sweep", *options]) == 0
        return capsys.readouterr().out.splitlines()

    capsys.readouterr()
    assert output("--dry-run", f"--pg-dsn={running_server.conninfo}") == [f"would remove {line}" for line in leftovers]
    assert output("--dry-run") == [f"would remove {line}" for line in leftovers]
    assert output() == [f"removed {line}" for line in leftovers]
    assert output() == ["nothing to remove"]
    assert superuser.execute("SELECT count(*) FROM pg_roles WHERE rolname ~ '^(toy|rolecall)_'").fetchone() == (0,)


def test_a_server_that_does_not_answer_is_one_error(
    guarded: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROLECALL_PG_DSN", guarded.url(password="wrong"))  # noqa: S106
    assert cli.main(["sweep"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("ERROR: the server does not answer: connection failed: ")
    assert output.err.endswith('FATAL: password authentication failed for user "toy_boss"\n')


@pytest.mark.usefixtures("toy")
def test_sweep_without_a_server_removes_the_directories_of_dead_runs(
    kill_run: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    pytestconfig: pytest.Config,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server_settings = replace(settings.read(pytestconfig), pg_dsn=None)
    monkeypatch.delenv("ROLECALL_PG_DSN")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", None)
        monkeypatch.setattr(directories, "MEMORY", Path(folder))
        with choose.running(server_settings) as server:
            kill_run()
            alive = str(Path(server.conninfo.params["host"]).parent)
            (dead,) = {str(each) for each in Path(folder).glob("rolecall-*")} - {alive}
            Path(folder, "rolecall-backup").mkdir()
            Path(folder, "rolecall-link").symlink_to(alive)
            lines = sorted(
                [(alive, f"kept directory {alive}: its run is still alive"), (dead, f"{{}} directory {dead}")]
            )
            capsys.readouterr()
            for options, verb in ((["--dry-run"], "would remove"), ([], "removed")):
                assert cli.main(["sweep", *options]) == 0
                assert capsys.readouterr().out.splitlines() == [line.format(verb) for _, line in lines]
            assert not Path(dead).exists()
            psycopg.connect(server.conninfo).close()
        assert sorted(each.name for each in Path(folder).iterdir()) == ["rolecall-backup", "rolecall-link"]


def test_the_command_is_installed_under_its_name() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"rolecall": "rolecall.cli:main"}
    result = subprocess.run([sys.executable, "-m", "rolecall", "--help"], capture_output=True, text=True, check=True)
    assert "remove what killed runs left" in result.stdout
    result = subprocess.run([sys.executable, "-m", "rolecall"], capture_output=True, text=True, check=False)
    assert result.returncode == 2
