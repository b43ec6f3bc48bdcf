"""Bad inputs: tests/rolecall/test_bad_inputs.py in its long form, round after round, each with a seed of its own."""

from __future__ import annotations

from collections.abc import Callable

from reliability.junit import pytest
from reliability.results import Deadline, Result

TITLE = "Bad inputs"
TESTS = "tests/rolecall/test_bad_inputs.py"
A_SECOND = 9  # examples of each kind that two cores try in a second, at least
MOST = 3000  # examples of each kind in one round


def run(deadline: Deadline, seed: int, only: str = "", progress: Callable[[str], None] = lambda _: None) -> Result:
    """Rounds until the time is over; one at least. ``only`` is a test of the file."""
    result = Result("inputs", TITLE, seed)
    result.promise(
        "bad inputs",
        "Whatever is written in a grid, an SQL file, a setting, a world, a list of equivalents, a defect or a folder "
        "of migrations gives a result, or one short error that names file and line; no hang, and nothing lost.",
        "Hypothesis spoils right inputs in up to four places, and writes wrong ones; each has a limit of time.",
        "inputs",
    )
    number = 0
    while not number or deadline.left > 20:
        examples = max(100, min(MOST, int(deadline.left * A_SECOND)))
        chosen = seed + number
        progress(f"{examples} of each kind, seed {chosen} ({len(result.broken)} broken)")
        arguments = ["-n", "2", f"--hypothesis-seed={chosen}", TESTS, *(["-k", only] if only else [])]
        report = pytest(arguments, deadline.left + 120, {"RELIABILITY_EXAMPLES": str(examples)})
        result.tried("bad inputs", report.number("tried"))
        result.count("refused with an error", report.number("refused"))
        result.count("rounds")
        again = f"RELIABILITY_EXAMPLES={examples} python -m pytest --hypothesis-seed={chosen} {TESTS}"
        for failure in report.failures:
            result.fail("bad inputs", f"{failure.test}: {failure.why}", f"{again} -k {failure.test.split('::')[-1]}")
        if report.status != 0 and not report.failures:
            result.fail("bad inputs", f"the run ended with {report.status}: {report.last_line}", again)
        if report.failures or report.status != 0:
            break  # the next round would find the same
        number += 1
    return result
