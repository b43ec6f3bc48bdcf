"""The same mutants and tests in a transaction, and with a new database for each mutant."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.results import Result

ROOT = Path(__file__).parent.parent
WAYS = {"in a transaction": "no", "a database cloned for each": "clone", "a database built for each": "build"}
OBJECT = "customer_favorites"
TESTS = ("tests/policies", "tests/constraints", "tests/views")


def run() -> Result:
    """Run the mutants of one table in three ways."""
    result = Result("mutants", f"Mutants of {OBJECT}, each")
    for way, how in WAYS.items():
        result.samples[way] = durations(how)
    result.ratio("a database cloned for each", "in a transaction", at_least=1)
    result.ratio("a database built for each", "in a transaction", at_least=1)
    counts = {len(seconds) for seconds in result.samples.values()}
    assert len(counts) == 1, f"not the same mutants: {counts}"
    for way, seconds in result.samples.items():
        result.facts[f"mutants per second, {way}"] = round(len(seconds) / sum(seconds), 1)
    result.facts |= {"object": OBJECT, "mutants": counts.pop(), "tests": list(TESTS)}
    return result


def durations(how: str) -> list[float]:
    """The seconds of each mutant in one run of pytest. Raises RuntimeError if a mutant survives."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "durations.json"
        options = [
            "-q",
            "--rolecall-mutants",
            f"--rolecall-mutants-of={OBJECT}",
            "-p",
            "benchmarks.fresh_databases",
            f"--fresh-database={how}",
            f"--durations-file={path}",
        ]
        process = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *TESTS], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if process.returncode:
            raise RuntimeError(f"the mutants were not all killed:\n{process.stdout[-3000:]}{process.stderr[-3000:]}")
        seconds: list[float] = json.loads(path.read_text(encoding="utf-8"))
        return seconds
