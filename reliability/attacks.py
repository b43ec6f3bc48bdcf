"""Attacks on the schema, and races between sessions: the tests of these folders, under both regimes of grants."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from reliability.junit import pytest
from reliability.results import Deadline, Result

TITLE = "Attacks and races"
LONG = {"RELIABILITY_LONG": "1"}  # for tests that have a short form and a long one


def run(deadline: Deadline, seed: int, only: str = "", progress: Callable[[str], None] = lambda _: None) -> Result:
    """Each folder once under each regime, races again and again while there is time; ``only`` is a test's name."""
    result = Result("attacks", TITLE, seed)
    result.promise(
        "attacks",
        "Nobody gets at another's rows or at more rights through a function, a view, a policy, a name or a claim.",
        "tests/attacks tries every function, policy and view of the catalog, as every persona.",
        "attacks",
    )
    result.promise(
        "races",
        "Sessions at once leave no row twice, none lost and none half done.",
        "tests/races runs real sessions that meet at advisory locks.",
        "races",
    )
    for number, (grants, folder) in enumerate(
        itertools.cycle(itertools.product(("revoked", "granted"), ("attacks", "races")))
    ):
        if number >= 4 and (only or deadline.left < 30):
            break
        if folder == "attacks" and number >= 4:
            continue  # the same each time
        progress(f"tests/{folder}, grants {grants} ({len(result.broken)} broken)")
        arguments = [
            "-n",
            "2",
            f"--rolecall-default-privileges={grants}",
            f"tests/{folder}",
            *(["-k", only] if only else []),
        ]
        report = pytest(arguments, max(deadline.left, 0) + 300, LONG)
        result.tried(folder, report.number("rolecall attacks") or report.number("rolecall races") or report.tests)
        again = f"RELIABILITY_LONG=1 python -m pytest {' '.join(arguments)}"
        for failure in report.failures:
            result.fail(folder, f"{failure.test} (grants {grants}): {failure.why}", again)
        if report.status != 0 and not report.failures:
            result.fail(folder, f"tests/{folder} ended with {report.status}: {report.last_line}", again)
    return result
