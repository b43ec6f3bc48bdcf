"""Every job of CI has a time limit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
JOB = re.compile(r"^  (\w+):\n((?:    .*\n|\n)*)", re.MULTILINE)


def test_there_are_workflows() -> None:
    assert [path.stem for path in WORKFLOWS] == ["lint", "verify", "weekly"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_every_job_has_a_time_limit(workflow: Path) -> None:
    _, jobs = workflow.read_text(encoding="utf-8").split("\njobs:\n")
    limits = {name: re.findall(r"^    timeout-minutes: (\d+)$", job, re.MULTILINE) for name, job in JOB.findall(jobs)}
    assert len(limits) >= 2
    assert {name for name, found in limits.items() if len(found) != 1} == set()


def test_the_script_of_ci_has_a_time_limit() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if "make " in line and not line.startswith(("#", "timeout "))] == []
