"""Bad inputs: repeats tests/rolecall/test_bad_inputs.py in its long form, each round with another seed."""

from __future__ import annotations

from collections.abc import Callable

from reliability.junit import pytest
from reliability.results import Deadline, Result

TITLE = "Bad inputs"
TESTS = "tests/rolecall/test_bad_inputs.py"
EXAMPLES_PER_SECOND = 9  # of each kind, on two cores, at least
SEEDED = ["-p", "_hypothesis_pytestplugin"]  # has --hypothesis-seed; other runs are without it, which starts faster
MAX_EXAMPLES = 3000  # of each kind in one round


def run(deadline: Deadline, seed: int, only: str = "", progress: Callable[[str], None] = lambda _: None) -> Result:
    """Run at least one round, and more while there is time. ``only`` is the name of a test of the file."""
    result = Result("inputs", TITLE, seed)
    result.promise(
        "bad inputs",
        "Any text in a grid, an SQL file, a setting, a world, a list of equivalents, a defect or a folder of "
        "migrations gives a result, or one short error that names file and line. It never hangs, and nothing is lost.",
        "Hypothesis breaks correct inputs in up to four places, and generates wrong ones. Each has a time limit.",
        "inputs",
    )
    number = 0
    while not number or deadline.left > 20:
        examples = max(100, min(MAX_EXAMPLES, int(deadline.left * EXAMPLES_PER_SECOND)))
        round_seed = seed + number
        progress(f"{examples} of each kind, seed {round_seed} ({len(result.broken)} broken)")
        arguments = ["-n", "2", *SEEDED, f"--hypothesis-seed={round_seed}", TESTS, *(["-k", only] if only else [])]
        report = pytest(arguments, deadline.left + 120, {"RELIABILITY_EXAMPLES": str(examples)})
        result.tried("bad inputs", report.number("tried"))
        result.count("refused with an error", report.number("refused"))
        result.count("rounds")
        options = " ".join([*SEEDED, f"--hypothesis-seed={round_seed}", TESTS])
        command = f"RELIABILITY_EXAMPLES={examples} python -m pytest {options}"
        for failure in report.failures:
            result.fail("bad inputs", f"{failure.test}: {failure.why}", f"{command} -k {failure.test.split('::')[-1]}")
        if report.status != 0 and not report.failures:
            result.fail("bad inputs", f"the run ended with {report.status}: {report.last_line}", command)
        if report.failures or report.status != 0:
            break  # the next round would find the same failures
        number += 1
    return result
