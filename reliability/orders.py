"""Orders and seeds: the suite in a random order, in a world of another seed, on both versions under both regimes."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

from reliability.junit import Failure, pytest
from reliability.results import Deadline, Result

TITLE = "Orders and seeds"
SUITE = [f"tests/{folder}" for folder in ("policies", "constraints", "functions", "views", "migrations", "findings")]
FIRST = 60.0  # seconds that the first run may take, in which the databases are built


def run(deadline: Deadline, seed: int, only: str = "", progress: Callable[[str], None] = lambda _: None) -> Result:
    """Runs while there is time for one more; four at most for ``only``, which is a test's name."""
    result = Result("orders", TITLE, seed)
    result.promise(
        "orders",
        "A test says the same in any order, in any world, on any version, under any grants.",
        "The suite in random orders (pytest-randomly), worlds of random seeds, PostgreSQL 16 and 18, both regimes.",
        "runs",
    )
    chance = random.Random(seed)  # noqa: S311 - has to come again
    failed: dict[str, list[tuple[Failure, str]]] = {}
    longest, runs = FIRST, 0
    for pg, grants in itertools.cycle(itertools.product(("18", "16"), ("revoked", "granted"))):
        if runs and (deadline.left < longest or (only and runs == 4)):
            break
        order, world = chance.randrange(10**6), chance.randrange(10**6)
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
        again = f"python -m pytest {' '.join(arguments)}"
        if report.status != 0:
            first = report.failures[0] if report.failures else Failure("(no test)", report.last_line)
            told = f"{len(report.failures)} failed, first {first.test}: {first.why}"
            result.fail("orders", f"order {order}, world {world}, PostgreSQL {pg}, {grants}: {told}", again)
        for failure in report.failures:
            failed.setdefault(failure.test, []).append((failure, again))
    result.counts["flaky tests"] = sum(len(times) < runs for times in failed.values())
    return result
