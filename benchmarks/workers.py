"""The speed-up of more workers: ``-n 1, 2, 4``, and two workers that share no folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from psycopg.conninfo import make_conninfo

from benchmarks import enorae
from benchmarks.clock import Timed, time_pytest
from benchmarks.results import Result
from rolecall.server import choose, cluster

TIMES = 2
NUMBERS = (1, 2, 4)
SUITE = tuple(f"tests/{name}" for name in ("policies", "constraints", "functions", "views"))
APART = "2 workers in separate folders, by TCP"
RSYNC_WARNING = "ignore:The --rsyncdir:DeprecationWarning"  # xdist 4 will no longer send copies
# The parts of the checkout that a machine needs to run the suite.
PARTS = ("src", "benchmarks", "tests", "baseline", "migrations", "conftest.py", "pyproject.toml")


def run() -> Result:
    """Run each number of workers several times, in turn, on one server."""
    result = Result("workers", "Enorae's suite by several workers: the whole command")
    with tcp_server() as dsn:
        tests = {measure(result, dsn, number) for _ in range(TIMES) for number in (*NUMBERS, None)}
    if len(tests) != 1:
        raise RuntimeError(f"the ways ran different numbers of tests: {sorted(tests)}")
    result.facts = {"tests": tests.pop(), "cores": len(os.sched_getaffinity(0)), "of": ", ".join(SUITE)}
    result.ratio("-n 1", "-n 2", name="speed-up of -n 2", at_least=1.7)
    result.ratio("-n 1", "-n 4", name="speed-up of -n 4")
    result.ratio("-n 1", APART, name=f"speed-up of {APART}")
    return result


def measure(result: Result, dsn: str, number: int | None) -> int:
    """Run the suite with ``number`` workers, or with two separate ones if it is None; returns the number of tests."""
    environment = {"ROLECALL_PG_DSN": dsn}
    if number:
        timed, name = time_pytest(enorae.ROOT, ["-n", str(number), *SUITE], environment), f"-n {number}"
    else:
        timed, name = separate_workers(environment), APART
    result.samples.setdefault(name, []).append(timed.whole)
    return timed.ran


def separate_workers(environment: dict[str, str]) -> Timed:
    """Run two workers and a controller as on three machines.

    Each worker listens on a port, and xdist sends it a copy of the checkout. They share only the server.
    """
    with TemporaryDirectory() as folder, ExitStack() as stack:
        checkout = Path(folder) / "controller" / "checkout"
        copy(checkout)
        machines = [stack.enter_context(socket_server(Path(folder) / name)) for name in ("one", "two")]
        suite = [str(checkout / part) for part in SUITE]
        return time_pytest(
            checkout,
            ["--dist=load", *machines, f"--rsyncdir={checkout}", "-W", RSYNC_WARNING, *suite],
            environment | {"PYTHONPATH": _path(checkout)},
        )


@contextmanager
def socket_server(folder: Path) -> Iterator[str]:
    """A worker's machine: execnet's server in its own folder; yields the option with which xdist connects."""
    checkout, port = folder / "checkout", free_port()
    (checkout / "src").mkdir(parents=True)  # Python checks only once whether its path exists
    command = [sys.executable, "-u", "-m", "execnet.script.socketserver", f"127.0.0.1:{port}", "once"]
    environment = os.environ | {"PYTHONPATH": _path(checkout)}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        if not any("Accept loop" in line for line in process.stdout):
            raise RuntimeError(f"execnet's server does not listen on port {port}")
        yield f"--tx=socket=127.0.0.1:{port}//chdir={folder}"
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """A port on which no process listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _path(checkout: Path) -> str:
    """PYTHONPATH for the rolecall of this checkout, and for the clock of the benchmarks."""
    return os.pathsep.join([str(checkout / "src"), str(checkout)])


def copy(target: Path) -> None:
    """Copy what the suite needs into a new folder."""
    target.mkdir(parents=True)
    for part in PARTS:
        source = enorae.ROOT / part
        if source.is_dir():
            shutil.copytree(source, target / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / part)


@contextmanager
def tcp_server() -> Iterator[str]:
    """A temporary server that listens on a TCP port, like one on another machine; yields its connection string."""
    port = free_port()
    with (
        patch.dict(cluster.CONFIGURATION, listen_addresses="127.0.0.1"),
        choose.choose_server(enorae.configuration()) as server,
    ):
        assert server.cluster
        server.cluster.start(port=port)
        server.cluster.wait()
        yield make_conninfo(server.conninfo, host="127.0.0.1", port=port)
