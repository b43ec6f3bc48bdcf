"""A pytest plugin that measures collection and tests, without the start of pytest and of a server.

The clock of the tests starts with the first test: everything that all tests need is built by then.
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

VARIABLE = "BENCHMARK_CLOCK"


class Clock:
    """Measures one session of pytest, and writes the times to a file."""

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
        """Note the start of a test."""
        self.first_cpu = self.first_cpu or time.process_time()
        self.began.append(time.perf_counter())

    def pytest_runtest_logfinish(self) -> None:
        """Note the end of a test."""
        self.ended.append(time.perf_counter())

    def pytest_sessionfinish(self) -> None:
        """Write the times."""
        each = [end - begin for begin, end in zip(self.began, self.ended, strict=True)]
        tests = self.ended[-1] - self.began[0] if each else 0.0
        times = {"collection": self.collection, "tests": tests, "each": each, "memory": _megabytes()}
        times |= {"ran": len(each), "collection_cpu": self.collection_cpu}
        times["tests_cpu"] = time.process_time() - self.first_cpu
        self.path.write_text(json.dumps(times), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    """Measure if the environment variable names a file."""
    if path := os.environ.get(VARIABLE):
        config.pluginmanager.register(Clock(Path(path)))


def _megabytes() -> float:
    """The peak memory of this process. getrusage would include the memory of its parent at the fork."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 2**10


class Timed(NamedTuple):
    """Times of a run of pytest in seconds, its peak memory in MB, and the number of its tests."""

    collection: float
    tests: float
    each: list[float]
    collection_cpu: float
    tests_cpu: float
    memory: float
    ran: int
    whole: float


def time_pytest(folder: Path, arguments: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Timed:
    """Run pytest in its own process, in ``folder``. Raises RuntimeError with the output if a test fails."""
    root = Path(__file__).parent.parent
    path = os.pathsep.join([str(root / "src"), str(root)])
    with TemporaryDirectory() as temporary:
        file = Path(temporary) / "clock.json"
        start = time.perf_counter()
        process = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "benchmarks.clock", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, **(environment or {}), VARIABLE: str(file)},
            capture_output=True,
            text=True,
            check=False,
        )
        whole = time.perf_counter() - start
        if process.returncode:
            raise RuntimeError(process.stdout[-3000:] + process.stderr[-3000:])
        times = json.loads(file.read_text(encoding="utf-8"))
    return Timed(**times, whole=whole)
