"""From typing the command to the first check: with nothing there, with what was kept, and pytest's own part of it."""

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
ALONE, LOADED, COLD, KEPT = (
    "pytest, no plugin",
    "pytest, the same plugins, nothing of rolecall's to build",
    "one cell, nothing kept",
    "one cell, the databases kept",
)
# As in pyproject.toml.
LEFT_OUT = [f"-pno:{plugin}" for plugin in ("faker", "platformdirs", "postgresql", "randomly", "cacheprovider")]
# Says when the first test is over, on the clock that all processes share.
STOPWATCH = """\
import time

def pytest_runtest_logfinish():
    print(f"\\nfirst check {time.time()}", flush=True)
"""


def run() -> Result:
    """Start each way in turn, several times, with compiled modules and a warm file cache."""
    result = Result("start", "From the command to the end of the first check")
    with TemporaryDirectory() as made:
        empty, kept = Path(made) / "empty", Path(made) / "kept"
        empty.mkdir()
        (empty / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
        (empty / "stopwatch.py").write_text(STOPWATCH)
        compiled = {"PYTHONPATH": str(empty), "PYTHONPYCACHEPREFIX": str(Path(made) / "compiled")}
        ways: dict[str, tuple[Path, list[str], dict[str, str]]] = {
            ALONE: (empty, ["test_nothing.py"], {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}),
            LOADED: (empty, ["test_nothing.py", *LEFT_OUT], {}),
            COLD: (ROOT, [CELL, "--rolecall-cache-dir=off"], {}),
            KEPT: (ROOT, [CELL, f"--rolecall-cache-dir={kept}"], {}),
        }
        for number in range(ROUNDS + 1):
            for way, (folder, options, given) in ways.items():
                took = until_first_check(folder, options, compiled | given)
                if number:  # the first round compiles, and keeps
                    result.samples.setdefault(way, []).append(took)
    for way, at_most in ((COLD, 1.0), (KEPT, 0.3)):
        beside = result.median(way) - result.median(ALONE)
        result.ratios.append(Ratio(f"{way}, beside pytest's own start, s", beside, at_most))
        beside = result.median(way) - result.median(LOADED)
        result.ratios.append(Ratio(f"{way}, beside pytest with the same plugins, s", beside, at_most))
    result.ratio(LOADED, ALONE)
    return result


def until_first_check(folder: Path, options: list[str], given: Mapping[str, str]) -> float:
    """Seconds from the start of the process until its first test is over."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.time()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "stopwatch", *options],
        cwd=folder,
        env={**environment, **given},
        capture_output=True,
        text=True,
        check=False,
    )
    told = [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("first check")]
    if done.returncode or not told:
        raise RuntimeError(f"{' '.join(options)} did not pass:\n{done.stdout}{done.stderr}")
    return float(told[0]) - start
