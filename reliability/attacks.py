"""Attacks on the schema, and races between sessions: the tests of both folders, with both default privileges."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from reliability.junit import pytest
from reliability.results import Deadline, Result

TITLE = "Attacks and races"
LONG = {"RELIABILITY_LONG": "1"}  # for tests that have a short form and a long one
PRIVILEGES = ("revoked", "granted")
ENOUGH = 30  # seconds for one more run of the races
NO_TESTS = 5  # pytest's exit status if -k selects no test of the folder


def run(deadline: Deadline, seed: int, only: str = "", progress: Callable[[str], None] = lambda _: None) -> Result:
    """Run both folders with each default privilege, then repeat the races while there is time.

    ``only`` is the name of a test.
    """
    result = Result("attacks", TITLE, seed)
    result.promise(
        "attacks",
        "No persona gets another's rows or more rights through a function, a view, a policy, a name or a claim.",
        "tests/attacks tries every function, policy and view of the catalog, as every persona.",
        "attacks",
    )
    result.promise(
        "races",
        "Concurrent sessions leave no row duplicated, lost or half written.",
        "tests/races runs real sessions that meet at advisory locks.",
        "races",
    )
    for privileges, folder in runs(deadline, only):
        progress(f"tests/{folder}, default privileges {privileges} ({len(result.broken)} broken)")
        _run_tests(result, deadline, privileges, folder, only)
    return result


def runs(deadline: Deadline, only: str) -> Iterator[tuple[str, str]]:
    """Each default privilege and folder once; then only races, because attacks have the same result each time."""
    yield from itertools.product(PRIVILEGES, ("attacks", "races"))
    for privileges in itertools.cycle(PRIVILEGES):
        if only or deadline.left < ENOUGH:
            return
        yield privileges, "races"


def _run_tests(result: Result, deadline: Deadline, privileges: str, folder: str, only: str) -> None:
    arguments = ["-n", "2", f"--rolecall-default-privileges={privileges}", f"tests/{folder}"]
    arguments += ["-k", only] if only else []
    report = pytest(arguments, max(deadline.left, 0) + 300, LONG)
    result.tried(folder, report.number("rolecall attacks") or report.number("rolecall races") or report.tests)
    command = f"RELIABILITY_LONG=1 python -m pytest {' '.join(arguments)}"
    for failure in report.failures:
        result.fail(folder, f"{failure.test} (default privileges {privileges}): {failure.why}", command)
    if report.status not in ((0, NO_TESTS) if only else (0,)) and not report.failures:
        result.fail(folder, f"tests/{folder} ended with {report.status}: {report.last_line}", command)
