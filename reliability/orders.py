"""Orders and seeds: the suite in random orders, with random worlds, on PostgreSQL 16, 17 and 18, both regimes."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

from reliability.junit import Failure, pytest
from reliability.results import Deadline, Result

TITLE = "Orders and seeds"
SUITE = [f"tests/{folder}" for folder in ("policies", "constraints", "functions", "views", "migrations")]
FIRST_RUN = 60.0  # seconds that the first run may take: it builds the databases


def run(deadline: Deadline, seed: int, only: str = "", progress: Callable[[str], None] = lambda _: None) -> Result:
    """Run while there is time for one more run; at most six times for ``only``, the name of a test."""
    result = Result("orders", TITLE, seed)
    result.promise(
        "orders",
        "A test has the same result in any order, in any world, on any version, with any default privileges.",
        "The suite runs in random orders (pytest-randomly), with worlds of random seeds, on PostgreSQL 16 to 18, with "
        "default privileges revoked and granted.",
        "runs",
    )
    chooser = random.Random(seed)  # noqa: S311 - must be repeatable
    failed: dict[str, list[tuple[Failure, str]]] = {}
    longest, runs = FIRST_RUN, 0
    for pg, grants in itertools.cycle(itertools.product(("17", "16", "18"), ("revoked", "granted"))):
        if runs and (deadline.left < longest or (only and runs == 6)):
            break
        order, world = chooser.randrange(10**6), chooser.randrange(10**6)
        arguments = ["-n", "2", "-p", "randomly"]
        arguments += [
            f"--randomly-seed={order}",
            f"--rolecall-world-seed={world}",
            f"--rolecall-pg={pg}",
            f"--rolecall-default-privileges={grants}",
        ]
        arguments += [*SUITE, *(["-k", only] if only else [])]
        progress(f"run {runs + 1}: order {order}, world {world}, {pg}, {grants} ({len(result.broken)} broken)")
        report = pytest(arguments, max(deadline.left, 0) + 300)
        runs += 1
        longest = report.seconds * 1.1 if runs == 1 else max(longest, report.seconds * 1.1)
        result.tried("orders")
        result.count("tests", report.tests)
        result.seconds.setdefault("a run", []).append(report.seconds)
        command = f"python -m pytest {' '.join(arguments)}"
        if report.status != 0:
            first = report.failures[0] if report.failures else Failure("(no test)", report.last_line)
            summary = f"{len(report.failures)} failed, first {first.test}: {first.why}"
            result.fail("orders", f"order {order}, world {world}, PostgreSQL {pg}, {grants}: {summary}", command)
        for failure in report.failures:
            failed.setdefault(failure.test, []).append((failure, command))
    result.counts["flaky tests"] = sum(len(times) < runs for times in failed.values())
    return result
