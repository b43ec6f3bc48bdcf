"""The same mutants and tests in a transaction, and with a new database for each mutant."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.results import Ratio, Result

ROOT = Path(__file__).parent.parent
TRANSACTION, CLONED, BUILT = "in a transaction", "a database cloned for each", "a database built for each"
WAYS = {CLONED: "clone", BUILT: "build"}
OBJECT = "engagement.customer_favorites"  # and its view
TESTS = ("tests/policies", "tests/constraints", "tests/views", "tests/models")
# Most mutants of these operators need decided_by, and the selected tests do not have it: each test takes seconds.
WITHOUT = ("policy-or", "policy-and")
WITHOUT_TESTS = "not decided and not nothing_lets"
GOAL = 100  # mutants per second
EVERY = 8  # the part of the mutants that is tried with databases of their own


def run() -> Result:
    """Run all mutants of one table in a transaction, and some of them in two other ways."""
    result = Result("mutants", f"Mutants of {OBJECT}, each")
    with TemporaryDirectory() as cache:
        whole, again = durations("no", 1, cache), durations("no", 1, cache)
    ways = {way: durations(how, EVERY) for way, how in WAYS.items()}
    ways = {TRANSACTION: {mutant: whole[mutant] for mutant in ways[CLONED]}, **ways}
    if ways[CLONED].keys() != ways[BUILT].keys() or whole.keys() != again.keys():
        raise RuntimeError("the ways tried different mutants")
    for way, times in ways.items():
        result.samples[way] = list(times.values())
        result.facts[f"mutants per second, {way}"] = per_second(times)
    result.ratio(CLONED, TRANSACTION, at_least=1)
    result.ratio(BUILT, TRANSACTION, at_least=1)
    result.ratios.append(Ratio("all mutants, in a transaction, per second", per_second(whole), at_least=GOAL))
    result.ratios.append(Ratio("all mutants, with a history, per second", per_second(again), at_least=GOAL))
    result.facts["median of all mutants, with a history"] = round(median(again.values()), 4)
    result.facts["median of all mutants, in a transaction"] = round(median(whole.values()), 4)
    result.facts |= {"object": OBJECT, "mutants": len(whole), "mutants tried in each way": len(ways[CLONED])}
    result.facts |= {"tests": [*TESTS, WITHOUT_TESTS], "without operators": list(WITHOUT)}
    return result


def per_second(times: dict[str, float]) -> float:
    """How many of these mutants were tried in a second."""
    return round(len(times) / sum(times.values()), 1)


def durations(how: str, every: int, cache: str = "") -> dict[str, float]:
    """The seconds of each mutant in one run of pytest, by its id. Raises RuntimeError if a mutant survives.

    ``cache`` is the folder of pytest's cache, which has the history; without it there is none.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "durations.json"
        options = [
            "-q",
            *("-n", "0", "-k", WITHOUT_TESTS),
            "--rolecall-mutants",
            f"--rolecall-mutants-of={OBJECT}",
            *("-p", "benchmarks.fresh_databases"),
            f"--fresh-database={how}",
            f"--durations-file={path}",
            f"--without-operators={','.join(WITHOUT)}",
            f"--every={every}",
            *(("-o", f"cache_dir={cache}") if cache else ("-p", "no:cacheprovider")),
        ]
        process = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *TESTS], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if process.returncode:
            raise RuntimeError(f"the mutants were not all killed:\n{process.stdout[-3000:]}{process.stderr[-3000:]}")
        seconds: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
        return seconds
