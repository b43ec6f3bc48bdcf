"""Compares the probe with real requests: every cell of the grids and of the awkward schemas (``make oracle``)."""

from __future__ import annotations

from collections.abc import Callable

from reliability.junit import pytest
from reliability.results import Deadline, Result

TITLE = "The probe compared with real requests"
TESTS = ("tests/policies", "tests/rolecall/grids/test_awkward_schemas.py", "tests/rolecall/oracle")
REQUESTS = "rolecall oracle"  # the property that rolecall.oracle gives each cell


def run(deadline: Deadline, seed: int, only: str = "", progress: Callable[[str], None] = lambda _: None) -> Result:
    """Run the comparison once. Each cell has a property with the number of its requests."""
    result = Result("oracle", TITLE, seed)
    result.promise(
        "oracle",
        "A verdict of a grid is the same as that of a real request.",
        "Each cell also runs on its own connection, as authenticator, in its own database, and is committed.",
        "cells",
    )
    progress("pytest --rolecall-oracle")
    arguments = ["-n", "2", "--rolecall-oracle", *TESTS, *(["-k", only] if only else [])]
    report = pytest(arguments, max(deadline.left, 0) + 300)
    result.tried("oracle", len(report.properties.get(REQUESTS, [])))
    result.count("requests", report.number(REQUESTS))
    command = f"python -m pytest {' '.join(arguments)}"
    for failure in report.failures:
        result.fail("oracle", f"{failure.test}: {failure.why}", command)
    if report.status != 0 and not report.failures:
        result.fail("oracle", f"the run ended with {report.status}: {report.last_line}", command)
    if not report.failures and REQUESTS not in report.properties:
        result.fail("oracle", f"nothing was compared: {report.last_line}", command)
    return result
