"""How much faster more workers are: ``-n 1, 2, 4``, and two whose folders have nothing in common."""

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
APART = "2 workers in folders of their own, by TCP"
NOT_YET_GONE = "ignore:The --rsyncdir:DeprecationWarning"  # xdist 4 will not send copies any more
# What a machine needs of the checkout to run the suite.
PARTS = ("src", "benchmarks", "tests", "baseline", "migrations", "conftest.py", "pyproject.toml")


def run() -> Result:
    """Each several times, in turn, against one server."""
    result = Result("workers", "Enorae's suite by several workers: the whole command")
    with by_tcp() as dsn:
        tests = {measure(result, dsn, number) for _ in range(TIMES) for number in (*NUMBERS, None)}
    if len(tests) != 1:
        raise RuntimeError(f"not every way ran the same number of tests: {sorted(tests)}")
    result.facts = {"tests": tests.pop(), "cores": len(os.sched_getaffinity(0)), "of": ", ".join(SUITE)}
    for number in NUMBERS[1:]:
        result.ratio("-n 1", f"-n {number}", name=f"speed-up of -n {number}")
    result.ratio("-n 1", APART, name=f"speed-up of {APART}")
    return result


def measure(result: Result, dsn: str, number: int | None) -> int:
    """Run the suite with so many workers, or with two apart; gives the number of tests."""
    environment = {"ROLECALL_PG_DSN": dsn}
    if number:
        timed, name = time_pytest(enorae.ROOT, ["-n", str(number), *SUITE], environment), f"-n {number}"
    else:
        timed, name = apart(environment), APART
    result.samples.setdefault(name, []).append(timed.whole)
    return timed.ran


def apart(environment: dict[str, str]) -> Timed:
    """Two workers and a controller as on three machines: each worker is reached by a port, and is sent a copy of
    the checkout by xdist, rolecall and all; what they have in common is the server."""
    with TemporaryDirectory() as place, ExitStack() as stack:
        checkout = Path(place) / "controller" / "checkout"
        copy(checkout)
        machines = [stack.enter_context(listening(Path(place) / name)) for name in ("one", "two")]
        suite = [str(checkout / folder) for folder in SUITE]
        return time_pytest(
            checkout,
            ["--dist=load", *machines, f"--rsyncdir={checkout}", "-W", NOT_YET_GONE, *suite],
            environment | {"PYTHONPATH": _path(checkout)},
        )


@contextmanager
def listening(folder: Path) -> Iterator[str]:
    """A machine's worth: execnet's server in a folder of its own; gives the option with which xdist reaches it."""
    checkout, port = folder / "checkout", free_port()
    (checkout / "src").mkdir(parents=True)  # Python looks once whether its path is there
    command = [sys.executable, "-u", "-m", "execnet.script.socketserver", f"127.0.0.1:{port}", "once"]
    environment = os.environ | {"PYTHONPATH": _path(checkout)}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        if not any("Accept loop" in line for line in process.stdout):
            raise RuntimeError(f"nobody listens on port {port}")
        yield f"--tx=socket=127.0.0.1:{port}//chdir={folder}"
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _path(checkout: Path) -> str:
    """Where Python finds the checkout's own rolecall, and the benchmarks' clock."""
    return os.pathsep.join([str(checkout / "src"), str(checkout)])


def copy(to: Path) -> None:
    """What the suite needs, in a folder of its own."""
    to.mkdir(parents=True)
    for part in PARTS:
        there = enorae.ROOT / part
        if there.is_dir():
            shutil.copytree(there, to / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(there, to / part)


@contextmanager
def by_tcp() -> Iterator[str]:
    """A throwaway server that listens on a port, as one of another machine does; gives its URL."""
    port = free_port()
    with (
        patch.dict(cluster.CONFIGURATION, listen_addresses="127.0.0.1"),
        choose.chosen(enorae.configuration()) as chosen,
    ):
        assert chosen.cluster
        chosen.cluster.start(port=port)
        chosen.cluster.wait()
        yield make_conninfo(chosen.conninfo, host="127.0.0.1", port=port)
