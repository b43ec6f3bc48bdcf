"""The programs of the league: where ``make league`` installs them, which versions, and how they are run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent
ENVIRONMENT = Path(sys.prefix) / "league"  # as in the Makefile
PACKAGES = FOLDER / "node_modules"
PATIENCE = 300.0  # seconds of one command


class ToolError(Exception):
    """A tool is not installed, or did not do what it should. The message says which, and what it printed."""


def version(package: str) -> str:
    """The version of a package in the lock files. Raises ToolError if none of them has it."""
    text = (FOLDER / "requirements.lock").read_text(encoding="utf-8")
    if found := re.search(rf"^{re.escape(package)}==(\S+)", text, re.MULTILINE):
        return found[1]
    packages = json.loads((FOLDER / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    if locked := packages.get(f"node_modules/{package}"):
        return str(locked["version"])
    raise ToolError(f"no lock file of {FOLDER} has the package {package}.")


def installed(pattern: str, folder: Path = PACKAGES) -> Path:
    """The one path that matches in an installed package. Raises ToolError if there is none."""
    for path in sorted(folder.glob(pattern)):
        return path
    raise ToolError(f"{folder / pattern} is not installed. Run: make league")


def run(command: Sequence[str | Path], expected: Sequence[int] = (0, 1)) -> subprocess.CompletedProcess[str]:
    """Run a program to its end. Raises ToolError if its exit status is none of the expected ones."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode not in expected:
        raise ToolError(f"{command[0]} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done


class PythonProgram:
    """A program of the league's own environment. Each thread has a process of its own for it: see ``driver.py``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._local = threading.local()
        self._processes: list[subprocess.Popen[str]] = []

    def run(self, *arguments: str, expected: Sequence[int] = (0, 1)) -> str:
        """The output of a command. Raises ToolError if its exit status is none of the expected ones."""
        answer = self._answer(json.dumps(arguments) + "\n")
        status, output, errors = json.loads(answer) if answer else (2, "", f"no answer within {PATIENCE:.0f} s")
        if status not in expected:
            command = " ".join([self.name, *arguments])
            raise ToolError(f"{command} ended with {status}:\n{output[-2000:]}{errors[-2000:]}")
        return str(output)

    def _answer(self, line: str) -> str:
        """The line that the process answers with; empty if it ended, or took too long and was ended."""
        process = self._process()
        assert process.stdin
        assert process.stdout
        patience = threading.Timer(PATIENCE, process.kill)
        patience.start()
        try:
            process.stdin.write(line)
            process.stdin.flush()
            answer = process.stdout.readline()
        finally:
            patience.cancel()
        if not answer:
            del self._local.process  # the next command gets a new one
        return answer

    def _process(self) -> subprocess.Popen[str]:
        if not hasattr(self._local, "process"):
            python = installed("bin/python", ENVIRONMENT)
            command = [str(python), str(FOLDER / "driver.py"), self.name]
            self._local.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self._processes.append(self._local.process)
        process: subprocess.Popen[str] = self._local.process
        return process

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.communicate()
