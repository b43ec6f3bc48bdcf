"""The two sides of `rolecall diff`: a git revision, a folder, or a lock file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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
    """Copy the current folder as it was at a revision. Raises RolecallError if git does not know it.

    ``git archive`` would leave out what .gitattributes says (export-ignore), which may be the migrations.
    """
    if revision.startswith("-"):
        raise RolecallError(f"{revision!r} is no git revision.")
    with TemporaryDirectory(prefix="rolecall_index_") as index:
        environment = {**os.environ, "GIT_INDEX_FILE": str(Path(index) / "index")}
        prefix = _git(revision, ["rev-parse", "--show-prefix"], environment)
        top = Path(_git(revision, ["rev-parse", "--show-toplevel"], environment))
        _git(revision, ["read-tree", f"{revision}:{prefix}"], environment, top)
        _git(revision, ["checkout-index", "--all", f"--prefix={folder}/"], environment, top)


def _git(revision: str, arguments: list[str], environment: dict[str, str], folder: Path | None = None) -> str:
    """The output of git, without the end of its line. Raises RolecallError."""
    command = ["git", *arguments]
    try:
        result = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    except OSError as error:
        raise RolecallError(f"{revision} is neither a file nor a folder, and git cannot be run: {error}.") from None
    if result.returncode:
        text = f"{revision} is neither a lock file, nor a folder, nor a git revision here"
        reason = " ".join(result.stderr.split())
        raise RolecallError(f"{text} ({reason}): git branch -a and git log list the revisions.")
    return result.stdout.rstrip("\n")


def measure_sides(before: Side, after: Side) -> tuple[Measured, Measured]:
    """The access maps of both sides. What is measured has the personas, rows and grids of the newer project.

    Raises RolecallError.
    """
    cast = after.folder or before.folder
    with ExitStack() as stack:
        # Both at the same time: each has a server of its own.
        old, new = [_start(side, cast, stack) for side in (before, after)]
        return old(), new()


def _start(side: Side, cast: Path | None, stack: ExitStack) -> Callable[[], Measured]:
    """Begin to measure a side. Returns a function that waits for the result. A lock file is read at once."""
    if side.lock:
        measured = Measured(reader.read(side.lock), Requests({}, {}))
        return lambda: measured
    assert cast
    process = stack.enter_context(_measuring(side, cast))
    return lambda: _result(side, process)


@contextmanager
def _measuring(side: Side, cast: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that measures a side: pytest can collect the tests of one project in a process, and not of two."""
    other = ["--sql-of", str(side.folder)] if side.folder != cast else []
    with subprocess.Popen(
        [sys.executable, "-m", "rolecall", "access", "--format", "json", *other],
        cwd=cast,
        env={CACHE: str(Path.cwd() / ".rolecall"), **os.environ},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:  # the other side failed, or Ctrl-C
                process.terminate()


def _result(side: Side, process: subprocess.Popen[str]) -> Measured:
    """What a process has measured. Raises RolecallError if it failed; it has printed why."""
    output, _ = process.communicate()
    if process.returncode:
        raise RolecallError(f"the access of {side.name} cannot be measured: see the message above.")
    return Measured.from_json(output)
