"""The directory of one run: private, and locked while the run is alive. A later run removes that of a killed run.

If root runs the tests, the server runs as another user. That user may write only in one folder of the directory,
``server``. root opens, follows and removes nothing in that folder: a process of that user does it. Everything else
belongs to the user that runs the tests.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rolecall.errors import RolecallError
from rolecall.server.signals import deferred

PREFIX = "rolecall-"
HIDDEN = "." + PREFIX  # while it is created
LOCK = "lock"
LOG = "log"
SERVER = "server"  # the folder that the server's user may write to
MAGIC = b"rolecall: the directory of a run. It may be removed when nobody holds a lock on this file.\n"
LONGEST_SOCKET = 100  # bytes; the kernel's limit on a socket's path is 108, 104 on macOS
MEMORY = Path("/dev/shm")  # noqa: S108 - rolecall creates its own directory in it
FALLBACK = Path("/tmp")  # noqa: S108 - likewise
MEMORY_ROOM = 2**30  # free bytes that MEMORY must have
MINIMUM_ROOM = 150 * 2**20  # free bytes that a run needs: a server, both templates and two clones
PATIENCE = 30.0  # seconds for a process to end
GRACE = 60.0  # seconds in which a new directory may have no lock
NOT_FOLLOWED = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def server_user() -> str | None:
    """The user that runs the server; None: the current user. Postgres refuses to run as root."""
    return "nobody" if os.geteuid() == 0 else None


def run_as(user: str | None) -> dict[str, Any]:
    """The arguments of :class:`subprocess.Popen` for a process of this user; None: the current user."""
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}


@contextmanager
def run_directory() -> Iterator[tuple[Path, str | None]]:
    """Create the directory of a run for the block, locked by this process. Yields it and the server's user.

    Raises RolecallError if there is no room for a server.
    """
    user = server_user()
    parent = temporary_directory()
    _check_room(parent)
    created: tuple[Path, int] | None = None
    try:
        with deferred():
            created = _create(parent, user)
        yield created[0], user
    finally:
        if created:
            directory, lock = created
            with deferred():
                remove(directory, user)
                os.close(lock)


def _create(parent: Path, user: str | None) -> tuple[Path, int]:
    """Create the directory. Returns it and the descriptor of its locked file."""
    hidden = Path(tempfile.mkdtemp(prefix=HIDDEN, dir=parent))
    try:
        lock = os.open(hidden / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | NOT_FOLLOWED, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.write(lock, MAGIC)
        (hidden / SERVER).mkdir(0o700)
        if user:
            owner = pwd.getpwnam(user)
            os.chown(hidden / SERVER, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
            hidden.chmod(0o711)
        directory = hidden.with_name(hidden.name.removeprefix("."))
        hidden.rename(directory)  # not earlier: without its lock, a sweep would take it for abandoned
    except OSError as error:
        shutil.rmtree(hidden, ignore_errors=True)
        raise RolecallError(f"{parent}: the directory of a server cannot be created: {error.strerror}") from None
    return directory, lock


def open_log(directory: Path) -> int:
    """A descriptor that appends to the log of a run's server."""
    return os.open(directory / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | NOT_FOLLOWED, 0o600)


def read_log(directory: Path, most: int = 1500) -> str:
    """The end of the log of a run's server; empty if there is none."""
    with suppress(OSError), os.fdopen(os.open(directory / LOG, os.O_RDONLY | NOT_FOLLOWED), "rb") as log:
        start = max(log.seek(0, os.SEEK_END) - most, 0)
        log.seek(start)
        text = log.read(most).decode(errors="replace")
        return (text.partition("\n")[2] if start else text).strip()  # without the half line at its beginning
    return ""


# ------------------------------------------------------------------ where the directory is created


def temporary_directory() -> Path:
    """Where a run's directory is created: in memory if there is room, else in the usual place.

    In memory, CREATE DATABASE takes a quarter of the time. ``TMPDIR`` wins if it is set. A place is not used if its
    path is too long for a socket, if only root can enter it, or if another user could replace our directory.
    """
    if "TMPDIR" not in os.environ and _has_room(MEMORY) and _is_safe(MEMORY):
        return MEMORY
    usual = Path(tempfile.gettempdir()).absolute()
    deepest = usual / (PREFIX + "x" * 8) / SERVER / ".s.PGSQL.5432"
    if len(os.fsencode(deepest)) <= LONGEST_SOCKET and _is_safe(usual) and (os.geteuid() != 0 or open_to_all(usual)):
        return usual
    return FALLBACK


def _has_room(directory: Path) -> bool:
    """Whether there is a gigabyte for files; a container often has 64 MB of memory for them."""
    with suppress(OSError):
        return os.access(directory, os.W_OK) and _room(directory) >= MEMORY_ROOM
    return False


def _room(directory: Path) -> int:
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize if status.f_blocks else MEMORY_ROOM  # some file systems do not count


def _check_room(parent: Path) -> None:
    if (room := _room(parent)) < MINIMUM_ROOM:
        needs = f"{MINIMUM_ROOM // 2**20} MB"
        raise RolecallError(
            f"{parent} has room for {room // 2**20} MB, and a server with its databases needs {needs}.\n"
            "Make room there, or set TMPDIR to a folder that has it."
        )


def _is_safe(directory: Path) -> bool:
    """Whether only root and this user can rename or replace this user's files in a directory."""
    with suppress(OSError):
        for path in (directory.resolve(strict=True), *directory.resolve().parents):
            status = path.stat()
            shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not status.st_mode & stat.S_ISVTX
            if shared or status.st_uid not in (0, os.geteuid()):
                return False
        return True
    return False


def open_to_all(path: Path) -> bool:
    """Whether every user can reach a file or folder, and run or enter it."""
    path = path.resolve()
    return all(each.stat().st_mode & 0o001 for each in (path, *path.parents))


# ------------------------------------------------------------------ removal


# Line 7 of postmaster.pid: the key and the id of the segment (PostgreSQL's manual, "Database File Layout").
SEGMENT = """
for file in "$1/data/postmaster.pid" "$1/postmaster.pid"; do
  [ -f "$file" ] && id=$(head -c 1000 "$file" | sed -n '7s/.* //p') && [ -n "$id" ] && ipcrm -m "$id"
done
"""


def remove(directory: Path, user: str | None) -> None:
    """Remove a run's directory. A process of the server's user removes what that user may write to."""
    remove_contents(directory / SERVER, user)
    if user:
        try:
            (directory / SERVER).rmdir()
        except FileNotFoundError:
            pass
        except OSError:  # something is left that its own user cannot remove: root must not, and a later run retries
            return
    shutil.rmtree(directory, ignore_errors=True)  # only the current user has written to the rest


def remove_contents(folder: Path, user: str | None) -> None:
    """Empty a folder as the user that owns it, including folders that its permissions close.

    A killed server leaves a segment of shared memory, which its postmaster.pid names. That is removed too.
    """
    program = SEGMENT + 'cd -- "$1" && { rm -rf -- * .[!.]* ..?* || { chmod -R u+rwX . && rm -rf -- * .[!.]* ..?*; }; }'
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(
            ["/bin/sh", "-c", program, "sh", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
            **run_as(user),
        )


# ------------------------------------------------------------------ leftovers of killed runs


def runs() -> Iterator[tuple[Path, bool]]:
    """The directories of runs of this user, and whether the run is still alive. Only directories with our mark."""
    for parent in sorted({temporary_directory(), Path(tempfile.gettempdir()), MEMORY, FALLBACK}):
        paths: list[Path] = []
        with suppress(OSError):
            paths = [path for path in parent.iterdir() if path.name.startswith((PREFIX, HIDDEN)) and _is_safe(parent)]
        for path in sorted(paths):
            with suppress(OSError), _open(path) as (_, lock):
                yield path, not _can_lock(lock)


def sweep() -> None:
    """Remove the directories of this user's killed runs: those with our mark and a free lock."""
    for directory, alive in list(runs()):
        if not alive:
            _sweep(directory)


def _sweep(directory: Path) -> None:
    with suppress(OSError), _open(directory) as (folder, lock):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # In an unsafe place, somebody may have replaced it since it was opened.
        if os.path.samestat(os.fstat(folder), os.lstat(directory)):
            _kill_server(directory)
            remove(directory, server_user())


def _can_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    fcntl.flock(lock, fcntl.LOCK_UN)
    return True


@contextmanager
def _open(directory: Path) -> Iterator[tuple[int, int]]:
    """The descriptors of the directory of a run of this user, and of its lock.

    Raises OSError if it is something else: another user's directory, a link, or a directory without our mark.
    """
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | NOT_FOLLOWED)
    lock = None
    try:
        status = os.fstat(folder)
        if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError
        if time.time() - status.st_mtime < GRACE and directory.name.startswith(HIDDEN):  # a run is creating it now
            raise BlockingIOError
        lock = os.open(LOCK, os.O_RDONLY | NOT_FOLLOWED, dir_fd=folder)
        if not _has_mark(lock):
            raise PermissionError
        yield folder, lock
    finally:
        for descriptor in (folder, lock):
            if descriptor is not None:
                os.close(descriptor)


def _has_mark(lock: int) -> bool:
    status = os.fstat(lock)
    ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and status.st_size == len(MAGIC)
    return ours and os.pread(lock, len(MAGIC), 0) == MAGIC


def _kill_server(directory: Path) -> None:
    """Stop the server of a dead run if it still runs. Its processes are known by their arguments."""
    import psutil  # few runs need it, and its import takes a while

    users = {os.geteuid()} | ({pwd.getpwnam(user).pw_uid} if (user := server_user()) else set())
    data = str(directory / SERVER / "data")
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            if words and process.uids().real in users and _serves(words, data):
                process.send_signal(signal.SIGQUIT)
                process.wait(PATIENCE)


def _serves(words: list[str], data: str) -> bool:
    return Path(words[0]).name in ("postgres", "initdb", "sh") and any(data in word for word in words[1:])
