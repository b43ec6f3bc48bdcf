"""From the save of a file to the verdict: with ``rolecall watch``, and with pytest for the same tests."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.results import Result

PROJECT = Path(__file__).parent.parent / "examples" / "supabase"
STEP = "supabase/migrations/20260105090000_organizations.sql"
ROLE = "private.my_role(id) IS NOT NULL"
GRID = "tests/test_organizations.py"
ROUNDS = 5
ALONE = "pytest, no plugin"
WATCH_GRID, WATCH_POLICY = "a grid file, watch", "a policy, watch"
PYTEST_GRID, PYTEST_POLICY = "a grid file, pytest", "a policy, pytest"
LEFT_OUT = [f"-pno:{plugin}" for plugin in ("faker", "platformdirs", "postgresql", "randomly")]


def run() -> Result:
    """Save both files in turn, several times, and run pytest on a copy for the same change each time."""
    result = Result("watch", "From the save to the verdict")
    with TemporaryDirectory() as folder:
        watched, other, empty = (Path(folder) / name for name in ("watched", "other", "empty"))
        for copy in (watched, other):
            shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        empty.mkdir()
        (empty / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
        with watching(watched) as answer:
            for number in range(ROUNDS + 1):
                samples = {WATCH_GRID: answer(GRID, lambda text: text), WATCH_POLICY: answer(STEP, changed(number))}
                samples[PYTEST_GRID] = run_pytest(other, GRID)
                save(other / STEP, changed(number))
                samples[PYTEST_POLICY] = run_pytest(other, GRID)
                samples[ALONE] = run_pytest(empty, "test_nothing.py", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
                for way in samples if number else ():  # the first round imports, compiles, and fills the cache
                    result.samples.setdefault(way, []).append(samples[way])
    # `start` has 0.13 s for an empty test without plugins: four times that is half a second.
    result.ratio(WATCH_POLICY, ALONE, at_most=4)
    result.ratio(WATCH_GRID, ALONE, at_most=4)
    result.ratio(WATCH_POLICY, PYTEST_POLICY, at_most=0.5)
    result.ratio(WATCH_GRID, PYTEST_GRID, at_most=0.5)
    return result


def changed(number: int) -> Callable[[str], str]:
    """A function that changes the policy in the text of the step. The access stays the same."""
    condition = f"USING ({number} = {number} AND {ROLE})"
    return lambda text: re.sub(rf"USING \((\d+ = \d+ AND )?{re.escape(ROLE)}\)", condition, text)


def save(path: Path, change: Callable[[str], str]) -> None:
    """Write a file again."""
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


@contextmanager
def watching(project: Path) -> Iterator[Callable[[str, Callable[[str], str]], float]]:
    """A function that saves a file, and returns the seconds until the verdict, while ``rolecall watch`` runs."""
    with subprocess.Popen(
        [sys.executable, "-m", "rolecall", "watch", "-q", *LEFT_OUT],
        cwd=project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        lines = iter(process.stdout or ())

        def answer(name: str, change: Callable[[str], str]) -> float:
            start = time.perf_counter()
            save(project / name, change)
            until(lines, " passed in ")
            seconds = time.perf_counter() - start
            while "slower" in until(lines, " s after the save"):
                pass
            return seconds

        try:
            until(lines, "-- watching")
            yield answer
        finally:
            process.send_signal(signal.SIGINT)


def until(lines: Iterator[str], text: str) -> str:
    """The next line that has a text. Raises RuntimeError if a test fails before, or if there is no such line."""
    output = []
    for line in lines:
        output.append(line)
        if text in line:
            return line
        if "failed" in line or "ERROR" in line:
            break
    raise RuntimeError(f"no line has {text!r}:\n{''.join(output)}")


def run_pytest(folder: Path, name: str, **variables: str) -> float:
    """The seconds of a run of pytest. Raises RuntimeError if a test fails."""
    start = time.perf_counter()
    process = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *(LEFT_OUT if not variables else ()), name],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        raise RuntimeError(f"pytest failed:\n{process.stdout}{process.stderr}")
    return time.perf_counter() - start
