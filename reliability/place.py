"""A folder in which pytest runs: a project, a temporary directory, and a list of what a run leaves there."""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

import rolecall
from reliability.results import ROOT

# The small project that rolecall's own tests use.
lay_out: Callable[[Path], None] = runpy.run_path(str(ROOT / "tests/rolecall/conftest.py"))["lay_out"]
MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp creates our own directory in it
GRACE = 6.0  # seconds in which processes may still end after their run
SOURCE = Path(rolecall.__file__).parent.parent  # the rolecall that this process has imported
FOREIGN = ("ROLECALL_", "PG", "PYTEST_", "RELIABILITY_", "HYPOTHESIS_")


@dataclass(frozen=True)
class Outcome:
    """How a run ended: status, output and waiting time in seconds. ``status`` is None if it did not end by itself."""

    status: int | None
    output: str
    seconds: float

    @property
    def last_line(self) -> str:
        """The last line of the output that is not empty."""
        lines = [line for line in self.output.splitlines() if line.strip()]
        return lines[-1].strip() if lines else "(no output)"


def _is_pytests(path: Path) -> bool:
    """Whether this is pytest's own folder for tmp_path, which pytest keeps on purpose."""
    return path.name.startswith("pytest-of-")


@contextmanager
def new_place() -> Iterator[Place]:
    """A place for the block. Processes that still run in it at the end are killed."""
    base = MEMORY if os.access(MEMORY, os.W_OK) else None
    place = Place(Path(tempfile.mkdtemp(prefix="reliability-", dir=base)))
    try:
        yield place
    finally:
        place.kill_all()
        shutil.rmtree(place.path, ignore_errors=True)


class Place:
    """Folders below ``path``: ``project``, ``tmp`` (the runs' TMPDIR), ``marks`` and ``bin`` (first in their PATH)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.project, self.tmp, self.marks, self.bin = (path / name for name in ("project", "tmp", "marks", "bin"))
        for folder in (self.project, self.tmp, self.marks, self.bin):
            folder.mkdir()
        self.path.chmod(0o711)
        self.tmp.chmod(0o711)
        self.bin.chmod(0o755)
        self.marks.chmod(0o777)  # the server of a root user runs as the user nobody
        lay_out(self.project)
        self.variables: dict[str, str] = {}  # more environment variables of every run

    def lay_out(self) -> None:
        """Restore the project, and remove everything that runs wrote."""
        for folder in (self.project, self.tmp, self.marks, self.bin, self.path / "kept"):
            for path in folder.iterdir() if folder.exists() else ():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        lay_out(self.project)

    def environment(self) -> dict[str, str]:
        """The environment of a run, without the user's own settings for rolecall, libpq and pytest."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        return {
            **inherited,
            "HOME": str(self.path),  # libpq looks for a password file in it
            "TMPDIR": str(self.tmp),
            "PYTHONPATH": str(SOURCE),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            **self.variables,
        }

    def start(self, *arguments: str, output: str = "output") -> subprocess.Popen[bytes]:
        """Start pytest in the project, in its own process group; its output goes into the file ``output``."""
        with (self.path / output).open("wb") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "pytest", *arguments],
                cwd=self.project,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def end(self, process: subprocess.Popen[bytes], seconds: float) -> Outcome:
        """Wait at most ``seconds`` for a run, then kill it."""
        start = time.monotonic()
        status: int | None = None
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        duration = time.monotonic() - start
        return Outcome(status, (self.path / "output").read_text(encoding="utf-8", errors="replace"), duration)

    def run(self, *arguments: str, seconds: float = 120) -> Outcome:
        """Run pytest, and wait for its end."""
        return self.end(self.start(*arguments), seconds)

    def processes(self) -> list[psutil.Process]:
        """Every process that has this place as its directory or in its arguments."""
        path, found = str(self.path), []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                words = [process.cwd(), *process.cmdline()]
                if any(word.startswith(path) or path + "/" in word for word in words) and process.pid != os.getpid():
                    found.append(process)
        return found

    def kill_all(self) -> None:
        """Kill every process that still runs here."""
        for process in self.processes():
            with suppress(psutil.Error):
                process.kill()

    def leftovers(self, segments: set[Path]) -> list[str]:
        """What ended runs have left here: processes, files, and those of ``segments`` that still exist."""
        deadline = time.monotonic() + GRACE
        while (commands := self.command_lines()) and time.monotonic() < deadline:
            time.sleep(0.05)
        leftovers = [f"process {command}" for command in commands]
        leftovers += [f"{path.relative_to(self.path)}" for path in sorted(self.tmp.iterdir()) if not _is_pytests(path)]
        leftovers += [f"{path.relative_to(self.path)}" for path in sorted(self.project.rglob("*.part"))]
        return leftovers + [str(path) for path in sorted(segments) if path.exists()]

    def command_lines(self) -> list[str]:
        """The command lines of the processes that run here."""
        commands = []
        for process in self.processes():
            with suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE:
                    commands.append(" ".join(process.cmdline())[:80] or process.name())
        return commands

    def segments(self) -> set[Path]:
        """The files in shared memory that processes here have mapped. A killed server cannot remove them."""
        found = set()
        for process in self.processes():
            with suppress(OSError):
                for line in (
                    Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8", errors="replace").splitlines()
                ):
                    if "/PostgreSQL." in line and line.split()[-1].startswith(str(MEMORY)):
                        found.add(Path(line.split()[-1]))
        return found
