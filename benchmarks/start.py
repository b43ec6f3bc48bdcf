"""From the command to the first check: without and with rolecall's cache, and pytest's own part of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.results import Ratio, Result

ROOT = Path(__file__).parent.parent
CELL = "tests/policies/test_customer_favorites.py::test_grid[customer's favourite-select-customer]"
ROUNDS = 9
ALONE, LOADED, COLD, CACHED, IMPORT = (
    "pytest, no plugin",
    "pytest, the same plugins, no rolecall project",
    "one cell, no cache",
    "one cell, with cache",
    "import rolecall.plugin, after import pytest",
)
# As in pyproject.toml.
UNUSED = ("faker", "hypothesispytest", "platformdirs", "postgresql", "randomly")
SAME = ["-ppytester", *(f"-pno:{plugin}" for plugin in UNUSED)]
# Prints the end of the first test, by the clock that all processes share.
STOPWATCH = """\
import time

def pytest_runtest_logfinish():
    print(f"\\nfirst check {time.time()}", flush=True)
"""
# Every project in the environment pays for this import, also without a setting of rolecall.
IMPORT_SCRIPT = """\
import time
import pytest
start = time.perf_counter()
import rolecall.plugin
print(time.perf_counter() - start)
"""


def run() -> Result:
    """Start each way in turn, several times, with compiled modules and a warm file cache."""
    result = Result("start", "From the command to the end of the first check")
    with TemporaryDirectory() as folder:
        empty, cache = Path(folder) / "empty", Path(folder) / "cache"
        empty.mkdir()
        (empty / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
        (empty / "stopwatch.py").write_text(STOPWATCH)
        compiled = {"PYTHONPATH": str(empty), "PYTHONPYCACHEPREFIX": str(Path(folder) / "compiled")}
        ways: dict[str, tuple[Path, list[str], dict[str, str]]] = {
            ALONE: (empty, ["test_nothing.py"], {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}),
            LOADED: (empty, ["test_nothing.py", *SAME], {}),
            COLD: (ROOT, [CELL, "--rolecall-cache-dir=off", "-pno:cacheprovider"], {}),
            CACHED: (ROOT, [CELL, f"--rolecall-cache-dir={cache}"], {}),
        }
        for number in range(ROUNDS + 1):
            seconds = {way: until_first_check(*details, compiled) for way, details in ways.items()}
            seconds[IMPORT] = import_plugin(compiled)
            for way in seconds if number else ():  # the first round compiles, and fills the cache
                result.samples.setdefault(way, []).append(seconds[way])
    compare(result)
    return result


def compare(result: Result) -> None:
    """Compare with pytest's own part. The targets are those of 0.2 and 0.8 s beside a pytest that takes 0.19 s."""
    for way, at_most in ((CACHED, 2.05), (COLD, 5.2)):
        result.ratio(way, LOADED, at_most=at_most)
        result.ratio(way, ALONE)
    result.ratios.append(Ratio(f"{IMPORT}, s", result.median(IMPORT), at_most=0.02))
    result.ratio(LOADED, ALONE)


def until_first_check(
    folder: Path, options: list[str], variables: Mapping[str, str], compiled: Mapping[str, str]
) -> float:
    """Seconds from the start of pytest until the end of its first test. Raises RuntimeError if the test fails."""
    start = time.time()
    output = _python(["-m", "pytest", "-q", "-p", "stopwatch", *options], folder, {**compiled, **variables})
    ends = [line.split()[-1] for line in output.splitlines() if line.startswith("first check")]
    if not ends:
        raise RuntimeError(f"{' '.join(options)} ran no test:\n{output}")
    return float(ends[0]) - start


def import_plugin(compiled: Mapping[str, str]) -> float:
    """Seconds that a new Python needs to import the plugin after pytest."""
    return float(_python(["-c", IMPORT_SCRIPT], ROOT, compiled))


def _python(arguments: list[str], folder: Path, variables: Mapping[str, str]) -> str:
    """The output of a new Python. Raises RuntimeError if it fails."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{process.stdout}{process.stderr}")
    return process.stdout
