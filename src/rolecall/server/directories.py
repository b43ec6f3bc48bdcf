"""The directory of one run: private, locked while the run lives, and swept by a later run if it was killed.

As root, the server runs as another user. What that user may write lies in one directory below, ``server``: root opens,
follows and removes nothing in it, but has it done by a process of that user. All else belongs to who runs the tests.
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

import psutil

from rolecall.errors import RolecallError
from rolecall.server.signals import held

PREFIX = "rolecall-"
HIDDEN = "." + PREFIX  # while it is made
LOCK = "lock"
LOG = "log"
SERVER = "server"  # the part that the server's user may write
MAGIC = b"rolecall: the directory of a run. It may be removed when nobody holds a lock on this file.\n"
LONGEST_SOCKET = 100  # bytes; the kernel's limit on a socket's path is 108, 104 on macOS
MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it
LAST = Path("/tmp")  # noqa: S108 - likewise
ROOM = 2**30  # bytes that memory must have to be chosen
LEAST = 150 * 2**20  # bytes without which a run is not begun: a server, both templates and what two processes clone
PATIENCE = 30.0  # seconds for a process to go
YOUNG = 60.0  # seconds in which a directory may be without its lock
NOT_FOLLOWED = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def server_user() -> str | None:
    """The user that a server is run as; None: who runs this. Postgres refuses to run as root."""
    return "nobody" if os.geteuid() == 0 else None


def run_as(user: str | None) -> dict[str, Any]:
    """The arguments of :class:`subprocess.Popen` that make a user's process."""
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}


@contextmanager
def home() -> Iterator[tuple[Path, str | None]]:
    """A directory for one run, locked while this process lives, and the user to run its server as.

    Raises RolecallError where there is no room for a server.
    """
    user = server_user()
    place = temporary_directory()
    _check_room(place)
    made: tuple[Path, int] | None = None
    try:
        with held():
            made = _make(place, user)
        yield made[0], user
    finally:
        if made:
            with held():
                remove(made[0], user)
                os.close(made[1])


def _make(place: Path, user: str | None) -> tuple[Path, int]:
    """A directory, and the descriptor of its locked file."""
    made = Path(tempfile.mkdtemp(prefix=HIDDEN, dir=place))
    try:
        lock = os.open(made / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | NOT_FOLLOWED, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.write(lock, MAGIC)
        (made / SERVER).mkdir(0o700)
        if user:
            owner = pwd.getpwnam(user)
            os.chown(made / SERVER, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
            made.chmod(0o711)
        directory = made.with_name(made.name.removeprefix("."))
        made.rename(directory)  # only now can a sweep see it: one without a lock would look abandoned
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        raise RolecallError(f"{place}: no directory for a server can be made: {error.strerror}") from None
    return directory, lock


def open_log(directory: Path) -> int:
    """A descriptor to append to the log of a run's server."""
    return os.open(directory / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | NOT_FOLLOWED, 0o600)


def read_log(directory: Path, most: int = 1500) -> str:
    """The end of the log of a run's server; empty if there is none."""
    with suppress(OSError), os.fdopen(os.open(directory / LOG, os.O_RDONLY | NOT_FOLLOWED), "rb") as log:
        start = max(log.seek(0, os.SEEK_END) - most, 0)
        log.seek(start)
        text = log.read(most).decode(errors="replace")
        return (text.partition("\n")[2] if start else text).strip()  # no half line
    return ""


# ------------------------------------------------------------------ where it goes


def temporary_directory() -> Path:
    """Where a run's directory goes: into memory if there is room, else the usual place.

    Making a database there takes a quarter of the time. ``TMPDIR``, if set, is what the user wants; a path that is too
    long for a socket, that root alone can enter, or in which another user could exchange our directory, will not do.
    """
    if "TMPDIR" not in os.environ and _has_room(MEMORY) and _is_safe(MEMORY):
        return MEMORY
    usual = Path(tempfile.gettempdir()).absolute()
    deepest = usual / (PREFIX + "x" * 8) / SERVER / ".s.PGSQL.5432"
    if len(os.fsencode(deepest)) <= LONGEST_SOCKET and _is_safe(usual) and (os.geteuid() != 0 or open_to_all(usual)):
        return usual
    return LAST


def _has_room(directory: Path) -> bool:
    """Whether files can be made here, a gigabyte of them; a container often has 64 MB."""
    with suppress(OSError):
        return os.access(directory, os.W_OK) and _room(directory) >= ROOM
    return False


def _room(directory: Path) -> int:
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize if found.f_blocks else ROOM  # some file systems do not count


def _check_room(place: Path) -> None:
    if (room := _room(place)) < LEAST:
        raise RolecallError(
            f"{place} has room for {room // 2**20} MB, and a server with its databases needs {LEAST // 2**20} MB.\n"
            "Make room there, or set TMPDIR to a folder that has it."
        )


def _is_safe(directory: Path) -> bool:
    """Whether nobody but root and this user can rename what this user has in a directory, or exchange it."""
    with suppress(OSError):
        for path in (directory.resolve(strict=True), *directory.resolve().parents):
            found = path.stat()
            shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX
            if shared or found.st_uid not in (0, os.geteuid()):
                return False
        return True
    return False


def open_to_all(path: Path) -> bool:
    """Whether every user can go to a file or folder, and run or enter it."""
    path = path.resolve()
    return all(each.stat().st_mode & 0o001 for each in (path, *path.parents))


# ------------------------------------------------------------------ removed


# Line 7 of postmaster.pid: the key and the id of the segment (PostgreSQL's manual, "Database File Layout").
SEGMENT = """
for file in "$1/data/postmaster.pid" "$1/postmaster.pid"; do
  [ -f "$file" ] && id=$(head -c 1000 "$file" | sed -n '7s/.* //p') && [ -n "$id" ] && ipcrm -m "$id"
done
"""


def remove(directory: Path, user: str | None) -> None:
    """Remove a run's directory: what the server's user may write by a process of that user."""
    remove_contents(directory / SERVER, user)
    if user:
        try:
            (directory / SERVER).rmdir()
        except FileNotFoundError:
            pass
        except OSError:  # that user has left what it cannot remove itself: nor does root, and a later run tries again
            return
    shutil.rmtree(directory, ignore_errors=True)  # in what is left, only who runs this has written


def remove_contents(folder: Path, user: str | None) -> None:
    """Empty a folder as the user that it belongs to, also of folders that were closed to that user.

    A server that was killed has left a segment of shared memory, which its postmaster.pid names; that goes too.
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


# ------------------------------------------------------------------ swept


def runs() -> Iterator[tuple[Path, bool]]:
    """The directories with our mark that runs of this user made, and whether the run still lives."""
    for place in sorted({temporary_directory(), Path(tempfile.gettempdir()), MEMORY, LAST}):
        found: list[Path] = []
        with suppress(OSError):
            found = [path for path in place.iterdir() if path.name.startswith((PREFIX, HIDDEN)) and _is_safe(place)]
        for path in sorted(found):
            with suppress(OSError), _opened(path) as (_, lock):
                yield path, not _can_lock(lock)


def sweep() -> None:
    """Remove what killed runs of this user left: directories with our mark, whose lock can be taken."""
    for directory, lives in list(runs()):
        if not lives:
            _sweep(directory)


def _sweep(directory: Path) -> None:
    with suppress(OSError), _opened(directory) as (folder, lock):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # It may have been exchanged since it was opened, in a place that is not safe.
        if os.path.samestat(os.fstat(folder), os.lstat(directory)):
            _kill_left_over(directory)
            remove(directory, server_user())


def _can_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    fcntl.flock(lock, fcntl.LOCK_UN)
    return True


@contextmanager
def _opened(directory: Path) -> Iterator[tuple[int, int]]:
    """A directory of a run of this user, and the file to lock.

    Raises OSError if it is anything else: another user's, a link, of another make, or without our mark.
    """
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | NOT_FOLLOWED)
    lock = None
    try:
        found = os.fstat(folder)
        if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError
        if time.time() - found.st_mtime < YOUNG and directory.name.startswith(HIDDEN):  # it is just being made
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
    found = os.fstat(lock)
    ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_size == len(MAGIC)
    return ours and os.pread(lock, len(MAGIC), 0) == MAGIC


def _kill_left_over(directory: Path) -> None:
    """Stop what still runs of a dead run's server (where the system did not), known by what it was started with."""
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
