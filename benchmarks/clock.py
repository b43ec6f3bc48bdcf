"""A pytest plugin that tells how long collection and the tests took, without the start of pytest and of a server.

The clock of the tests starts when the first is announced: what has to be built for all of them stands by then.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

TOLD_TO = "BENCHMARK_CLOCK"


class Clock:
    """Notes when what begins."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.collection = self.collection_cpu = self.first_cpu = 0.0
        self.began: list[float] = []
        self.ended: list[float] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        """Time the collection."""
        start, start_cpu = time.perf_counter(), time.process_time()
        collected = yield
        self.collection, self.collection_cpu = time.perf_counter() - start, time.process_time() - start_cpu
        return collected

    def pytest_runtest_logstart(self) -> None:
        """A test begins."""
        self.first_cpu = self.first_cpu or time.process_time()
        self.began.append(time.perf_counter())

    def pytest_runtest_logfinish(self) -> None:
        """It has ended."""
        self.ended.append(time.perf_counter())

    def pytest_sessionfinish(self) -> None:
        """Tell."""
        each = [end - begin for begin, end in zip(self.began, self.ended, strict=True)]
        tests = self.ended[-1] - self.began[0] if each else 0.0
        told = {"collection": self.collection, "tests": tests, "each": each, "memory": _megabytes()}
        told |= {"ran": len(each), "collection_cpu": self.collection_cpu}
        told["tests_cpu"] = time.process_time() - self.first_cpu
        self.path.write_text(json.dumps(told), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    """Join in where somebody wants to know."""
    if path := os.environ.get(TOLD_TO):
        config.pluginmanager.register(Clock(Path(path)))


def _megabytes() -> float:
    """The most that this process has held; getrusage would count what its parent held when it was forked."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 2**10


class Timed(NamedTuple):
    """What a pytest of its own took, in seconds, its memory at most, in MB, and how many tests ran."""

    collection: float
    tests: float
    each: list[float]
    collection_cpu: float
    tests_cpu: float
    memory: float
    ran: int
    whole: float


def time_pytest(folder: Path, arguments: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Timed:
    """Run pytest in a process of its own, in ``folder``. Raises RuntimeError with what it said if a test failed."""
    root = Path(__file__).parent.parent
    path = os.pathsep.join([str(root / "src"), str(root)])
    with TemporaryDirectory() as place:
        told = Path(place) / "clock.json"
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "benchmarks.clock", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, **(environment or {}), TOLD_TO: str(told)},
            capture_output=True,
            text=True,
            check=False,
        )
        whole = time.perf_counter() - start
        if done.returncode:
            raise RuntimeError(done.stdout[-3000:] + done.stderr[-3000:])
        times = json.loads(told.read_text(encoding="utf-8"))
    return Timed(**times, whole=whole)
