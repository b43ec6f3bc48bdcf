"""Runs of pytest in a separate process, which stop at a stage, receive signals, and are checked afterwards.

A run has reached a stage when it has created a file. It continues when another file exists. So nothing here depends on
the speed of the machine. :func:`end_run` runs ``python -m pytest`` in the folder of a project that :func:`add_stages`
has prepared.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from rolecall.server.cluster import reachable
from rolecall.server.directories import server_user

TIMEOUT = 60.0  # seconds to reach a stage
MARK = "ROLECALL_TEST_RUN"  # in the environment of every process of a run

# In the order of a run. "pack" is only in runs with a cache, "initdb" only with the programs of add_stages.
STAGES = ("conftest", "configure", "start", "initdb", "build", "pack", "collect", "test", "teardown", "close")

CONFTEST = '''

# ------------------------------------------------------------------ stages

import os, pathlib, time

import pytest


def stop_at(stage):
    """Wait at the requested stage until the run may continue."""
    if os.environ.get("STAGE") == stage:
        folder = pathlib.Path(os.environ["STAGE_FOLDER"])
        folder.joinpath("reached", str(os.getpid())).touch()
        deadline = time.monotonic() + 60
        while not folder.joinpath("go").exists() and time.monotonic() < deadline:
            time.sleep(0.005)


stop_at("conftest")


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    from rolecall.server import cluster
    from rolecall.sql import files

    def run(*args, original=files.run, **kwargs):
        stop_at("build")
        return original(*args, **kwargs)

    def pack(*args, original=cluster.Cluster.pack):
        stop_at("pack")
        return original(*args)

    files.run, cluster.Cluster.pack = run, pack
    stop_at("configure")


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session):
    plugin = session.config.pluginmanager.getplugin("rolecall-run")
    if not hasattr(session.config, "workerinput"):
        plugin.process._stack.callback(stop_at, "close")
    stop_at("start")
'''

TESTS = """
import sys

import pytest

stop_at = sys.modules["conftest"].stop_at
stop_at("collect")


@pytest.fixture
def slow_teardown(db):
    yield
    stop_at("teardown")


def test_stage(db, slow_teardown):
    assert db.value("SELECT 1") == 1
    stop_at("test")


def test_other(db):
    assert db.value("SELECT 1") == 1
"""

INITDB = """#!/bin/sh
if [ "$STAGE" = initdb ] && [ "$1" != --version ]; then
  : > "$STAGE_FOLDER/reached/initdb"
  while [ ! -e "$STAGE_FOLDER/go" ]; do sleep 0.01; done
fi
exec "{initdb}" "$@"
"""


@dataclass
class Result:
    """How a run ended, and what it left: processes, and files in its temporary directory."""

    status: int  # negative: the signal that ended it
    output: str
    seconds: float  # from the first signal to its end
    processes: list[str]
    files: list[str]

    @property
    def left(self) -> list[str]:
        return self.processes + self.files


def add_stages(project: Path, programs: Path, binaries: Path) -> Path:
    """Add the stages to a project.

    Returns a directory below ``programs`` for ``--rolecall-pg-bin``. Its initdb has a stage too.
    """
    conftest = project / "conftest.py"
    conftest.write_text(conftest.read_text(encoding="utf-8") + CONFTEST, encoding="utf-8")
    (project / "test_staged.py").write_text(TESTS, encoding="utf-8")
    # A virtual environment may be in a folder that only root can enter.
    binaries = reachable(binaries, programs, server_user())
    programs = programs / "bin"
    programs.mkdir(parents=True)
    for folder in ("lib", "share"):
        (programs.parent / folder).symlink_to(binaries.parent / folder)
    for program in binaries.iterdir():
        if program.name != "initdb":
            (programs / program.name).symlink_to(program)
    (programs / "initdb").write_text(INITDB.format(initdb=binaries / "initdb"))
    (programs / "initdb").chmod(0o755)
    return programs


def end_run(
    project: Path,
    temporary: Path,
    stage: str,
    signals: Sequence[signal.Signals],
    *arguments: str,
    to: str = "first",
    resume: bool = True,
    environment: Mapping[str, str] | None = None,
) -> Result:
    """Run pytest in a project up to a stage, send signals, let it continue, and return how it ended.

    The signals go ``to`` the "first" process, the whole "group" (as Ctrl-C in a terminal does), or the process at the
    stage ("stage": with ``-n``, a worker). ``temporary`` is the run's TMPDIR. Without ``resume``, the process at the
    stage keeps waiting, like a test that hangs.
    Raises TimeoutError if the run does not reach the stage, or does not end.
    """
    folder, name = temporary.parent / f"stage {secrets.token_hex(4)}", secrets.token_hex(8)
    (folder / "reached").mkdir(parents=True)
    folder.chmod(0o755)
    (folder / "reached").chmod(0o777)
    variables = {"TMPDIR": str(temporary), "STAGE": stage, "STAGE_FOLDER": str(folder), MARK: name}
    process = _start(project, arguments, variables | dict(environment or {}))
    try:
        _wait_for(folder / "reached", process)
        start = time.monotonic()
        for number in signals:
            _send(number, process, folder / "reached", to)
            time.sleep(0.05)  # two equal signals at the same time count as one
        if resume:
            (folder / "go").touch()
        output, _ = process.communicate(timeout=TIMEOUT)
        seconds = time.monotonic() - start
        deadline = time.monotonic() + 5
        while (running := processes_of(name)) and time.monotonic() < deadline:
            time.sleep(0.02)
        files = [str(path) for path in temporary.iterdir() if not path.name.startswith("pytest-of-")]
        return Result(process.returncode, output, seconds, running, sorted(files))
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"the run did not end within {TIMEOUT:.0f} s: {error.stdout!r}") from None
    finally:
        _kill(name)
        process.wait()
        shutil.rmtree(folder)


def _start(project: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "test_staged.py", *arguments],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, **environment},
    )


def _kill(name: str) -> None:
    for process in psutil.process_iter():
        if _belongs(process, name):
            with suppress(psutil.Error):
                process.kill()


def processes_of(name: str) -> list[str]:
    """The command lines of the processes of a run that have not ended."""
    return [" ".join(process.cmdline()) for process in psutil.process_iter() if _belongs(process, name)]


def _belongs(process: psutil.Process, name: str) -> bool:
    try:
        return process.environ().get(MARK) == name and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _wait_for(reached: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not any(reached.iterdir()):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise TimeoutError(f"the stage was not reached: {process.communicate()[0]}")
        time.sleep(0.01)


def _send(number: signal.Signals, process: subprocess.Popen[str], reached: Path, to: str) -> None:
    if to == "group":
        os.killpg(process.pid, number)
    elif to == "stage":
        os.kill(int(next(reached.iterdir()).name), number)
    elif process.poll() is None:
        os.kill(process.pid, number)
