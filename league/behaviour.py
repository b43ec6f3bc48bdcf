"""rolecall's whole suite by behaviour, in a run of pytest of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from league.cases import ROOT, Case
from league.programs import ToolError
from league.results import Standing
from league.suite import OTHERS

NAME = "rolecall, by behaviour"
PATIENCE = 3600.0  # seconds


def play(cases: Sequence[Case]) -> Standing:
    """Try the suite on all cases. Raises ToolError if it does not pass on the unchanged schema."""
    start = time.perf_counter()
    _pytest([])
    seconds = time.perf_counter() - start
    with TemporaryDirectory() as folder:
        given, written = Path(folder) / "cases.json", Path(folder) / "noticed.json"
        given.write_text(json.dumps([case.as_json() for case in cases]), encoding="utf-8")
        _pytest([f"--league-cases={given}", f"--league-noticed={written}"], expected=(0, 1))
        noticed, problems = json.loads(written.read_text(encoding="utf-8"))
    return Standing(
        NAME,
        "",
        "the same, and tests of constraints, functions, views and triggers by what they do",
        "the grids and tests, written by hand",
        ("pytest, without tests that compare the catalog's text; for a case, those that concern its objects",),
        is_linter=False,
        seconds=round(seconds, 2),
        noticed={case.id: noticed.get(case.id) for case in cases if case.id not in problems},
        problems=problems,
    )


def _pytest(options: Sequence[str], expected: Sequence[int] = (0,)) -> None:
    folders = [f"--ignore=tests/{folder}" for folder in OTHERS]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "league.suite", *folders, *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode not in expected:
        raise ToolError(f"the suite ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-2000:]}")
