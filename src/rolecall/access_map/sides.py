"""The two sides of `rolecall diff`: a git revision, a folder, or a lock file."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rolecall.access_map import reader
from rolecall.access_map.project import Measured, Requests
from rolecall.errors import RolecallError

CACHE = "ROLECALL_CACHE_DIR"


@dataclass(frozen=True)
class Side:
    """One side. ``lock`` is its lock file, or ``folder`` the project; ``name`` is what the user wrote."""

    name: str
    lock: Path | None = None
    folder: Path | None = None


def side_of(argument: str, stack: ExitStack) -> Side:
    """The side that an argument names: a lock file, a folder, or a git revision.

    A revision is copied into a folder that ``stack`` removes. Raises RolecallError if it is none of them.
    """
    path = Path(argument)
    if path.is_file():
        return Side(argument, lock=path)
    if path.is_dir():
        return Side(argument, folder=path.resolve())
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="rolecall_diff_")))
    _extract(argument, folder)
    return Side(argument, folder=folder)


def _extract(revision: str, folder: Path) -> None:
    """Copy the current folder as it was at a revision. Raises RolecallError if git does not know it."""
    if revision.startswith("-"):
        raise RolecallError(f"{revision!r} is no git revision.")
    command = ["git", "archive", "--format=tar", revision]
    try:
        result = subprocess.run(command, capture_output=True, check=False)
    except OSError as error:
        raise RolecallError(f"{revision} is neither a file nor a folder, and git cannot be run: {error}.") from None
    if result.returncode:
        reason = " ".join(result.stderr.decode(errors="replace").split())
        text = f"{revision} is neither a lock file, nor a folder, nor a git revision here ({reason})"
        raise RolecallError(f"{text}: git branch -a and git log list the revisions.")
    with tarfile.open(fileobj=io.BytesIO(result.stdout)) as archive:
        archive.extractall(folder, filter="data")


def measure_sides(before: Side, after: Side) -> tuple[Measured, Measured]:
    """The access maps of both sides. What is measured has the personas, rows and grids of the newer project.

    Raises RolecallError.
    """
    cast = after.folder or before.folder
    old, new = (_read(side.lock) if side.lock else _measure(side, cast) for side in (before, after))
    return old, new


def _read(lock: Path) -> Measured:
    return Measured(reader.read(lock), Requests({}, {}))


def _measure(side: Side, cast: Path | None) -> Measured:
    """Measure in a process of its own: pytest collects the tests of one project in a process."""
    assert side.folder
    assert cast
    other = ["--sql-of", str(side.folder)] if side.folder != cast else []
    environment = {CACHE: str(Path.cwd() / ".rolecall"), **os.environ}
    result = subprocess.run(
        [sys.executable, "-m", "rolecall", "access", "--format", "json", *other],
        cwd=cast,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if result.returncode:
        raise RolecallError(f"the access of {side.name} cannot be measured: see the message above.")
    return Measured.from_json(result.stdout)
