"""Finds a Chromium: an installed one, otherwise the one in npm's @sparticuz/chromium (Linux on x86-64)."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.types import node

FOLDER = Path(__file__).parent
INSTALLED = (
    "google-chrome",
    "google-chrome-stable",
    "chromium",
    "chromium-browser",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
PACKAGE = FOLDER / "node_modules" / "@sparticuz" / "chromium"
UNPACKED = FOLDER / "node_modules" / ".chromium"
AXE = FOLDER / "node_modules" / "axe-core" / "axe.min.js"
LONG = 120.0  # seconds to unpack 200 MB


class BrowserError(Exception):
    """There is no Chromium, or a package is missing; the message says what to run."""


class Chromium(NamedTuple):
    """The program, what its environment needs besides, and whether it is that of the npm package."""

    program: str
    env: Mapping[str, str]
    is_bundled: bool = False


def find() -> Chromium:
    """The Chromium to use. Raises BrowserError if there is none."""
    for name in INSTALLED:
        if program := shutil.which(name):
            return Chromium(program, {})
    if not PACKAGE.is_dir():
        raise BrowserError(
            "there is no Chrome or Chromium here, and tests/browser/node_modules has none. Run: make test"
        )
    return unpacked()


def unpacked() -> Chromium:
    """The Chromium of the npm package. It is unpacked once. Raises BrowserError if that fails."""
    UNPACKED.mkdir(exist_ok=True)
    # As on AWS Lambda: then it also unpacks the libraries of the system that Chromium uses.
    env = os.environ | {"TMPDIR": str(UNPACKED), "AWS_EXECUTION_ENV": "AWS_Lambda_nodejs22.x"}
    try:
        command = [node.find().node, "unpack.mjs"]
        with (UNPACKED / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two workers of pytest-xdist may be here at once
            done = subprocess.run(
                command, cwd=FOLDER, env=env, capture_output=True, text=True, timeout=LONG, check=False
            )
    except (node.NodeError, OSError, subprocess.TimeoutExpired) as error:
        raise BrowserError(f"the Chromium of {PACKAGE} cannot be unpacked: {error}") from None
    if done.returncode:
        raise BrowserError(f"the Chromium of {PACKAGE} cannot be unpacked: {done.stderr.strip()}")
    program = done.stdout.strip()
    return Chromium(program, libraries() if _lacks_libraries(program) else {}, is_bundled=True)


def libraries() -> Mapping[str, str]:
    """The environment in which Chromium finds the libraries that came with it."""
    return {"LD_LIBRARY_PATH": str(UNPACKED / "al2023" / "lib")}


def _lacks_libraries(program: str) -> bool:
    done = subprocess.run(["ldd", program], capture_output=True, text=True, timeout=LONG, check=False)  # noqa: S607
    return "not found" in done.stdout


def axe() -> str:
    """The text of axe-core. Raises BrowserError if it is not installed."""
    if not AXE.is_file():
        raise BrowserError("axe-core is not installed: tests/browser/node_modules is missing. Run: make test")
    return AXE.read_text(encoding="utf-8")
