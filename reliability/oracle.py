"""The probe beside real requests: every cell of every grid and of the awkward schemas (``make oracle``)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from reliability.junit import pytest
from reliability.results import ROOT, Deadline, Result

TITLE = "The probe beside real requests"


def run(deadline: Deadline, seed: int, only: str = "", progress: Callable[[str], None] = lambda _: None) -> Result:
    """Once. The report's properties ``oracle cells`` and ``oracle differences`` have the numbers."""
    result = Result("oracle", TITLE, seed)
    result.promise(
        "oracle",
        "A verdict of a grid is what a request of its own would have met.",
        "Each cell is also run by a connection of its own, as authenticator, committed, in a database of its own.",
        "cells",
    )
    helped = subprocess.run(
        [sys.executable, "-m", "pytest", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    if "--oracle" not in helped:
        return result  # "not tried", on the page
    progress("pytest --oracle")
    arguments = ["--oracle", *(["-k", only] if only else [])]
    report = pytest(arguments, max(deadline.left, 0) + 300)
    result.tried("oracle", report.number("oracle cells") or report.tests)
    again = f"python -m pytest {' '.join(arguments)}"
    for failure in report.failures:
        result.fail("oracle", f"{failure.test}: {failure.why}", again)
    if report.status != 0 and not report.failures:
        result.fail("oracle", f"it ended with {report.status}: {report.last_line}", again)
    result.counts["differences"] = report.number("oracle differences") or len(report.failures)
    return result
