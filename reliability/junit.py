"""Runs pytest on this repository in a process of its own, and reads its JUnit report."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from reliability.place import FOREIGN
from reliability.results import ROOT


@dataclass(frozen=True)
class Failure:
    """A test that failed, and the first line of the reason."""

    test: str
    why: str


@dataclass(frozen=True)
class Report:
    """One run: its exit status (None if it was stopped), tests, failures, and properties of tests and of the run."""

    status: int | None
    seconds: float
    last_line: str
    tests: int = 0
    failures: list[Failure] = field(default_factory=list)
    properties: dict[str, list[str]] = field(default_factory=dict)

    def number(self, name: str) -> int:
        """The sum of a property's values."""
        return sum(int(value) for value in self.properties.get(name, []))


def pytest(arguments: Sequence[str], seconds: float, variables: Mapping[str, str] | None = None) -> Report:
    """Run pytest in the root of the repository, for at most ``seconds``, with these environment variables."""
    start = time.monotonic()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    with tempfile.TemporaryDirectory(prefix="reliability-") as folder:
        path = Path(folder) / "junit.xml"
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", f"--junitxml={path}", *arguments],
            cwd=ROOT,
            env={**inherited, **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        status: int | None = None
        try:
            output, _ = process.communicate(timeout=seconds)
            status = process.returncode
        except subprocess.TimeoutExpired:
            output = _stop(process)
        finally:
            if process.poll() is None:
                _stop(process)
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        report = Report(status, time.monotonic() - start, lines[-1] if lines else "")
        return _read(path, report) if path.is_file() else report


def _stop(process: subprocess.Popen[str]) -> str:
    """Interrupt a run as Ctrl-C does, so that it cleans up. Kill it if it does not end."""
    for signum in (signal.SIGINT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signum)
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=20)[0] or ""
    return ""


def _read(path: Path, report: Report) -> Report:
    properties: dict[str, list[str]] = {}
    failures, tests = [], 0
    root = ElementTree.parse(path).getroot()  # noqa: S314 - written by our own pytest
    for each in root.iter("property"):
        properties.setdefault(each.get("name", ""), []).append(each.get("value", ""))
    for case in root.iter("testcase"):
        tests += 1
        for failure in (*case.findall("failure"), *case.findall("error")):
            name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name', '')}"
            failures.append(Failure(name, _first_line(failure)))
    return Report(report.status, report.seconds, report.last_line, tests, failures, properties)


def _first_line(failure: ElementTree.Element) -> str:
    lines = [line.strip() for line in (failure.get("message") or failure.text or "").splitlines() if line.strip()]
    return lines[0][:200] if lines else ""
