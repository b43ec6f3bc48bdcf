"""A shared server: started without rolecall, and compared before and after a run."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from reliability.place import Place
from rolecall.server import choose, cluster

SUPERUSER = "person"
PATIENCE = 30.0
OBJECTS = """
SELECT 'database ' || datname FROM pg_database UNION ALL SELECT 'role ' || rolname FROM pg_roles
"""


class SharedServer:
    """A server in ``folder``; ``dsn`` connects to it. It does not belong to the place of any run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.user = "nobody" if os.geteuid() == 0 else None
        self.binaries = cluster.reachable(choose.embedded(18), folder, self.user)
        self.dsn = make_conninfo(host=str(folder), user=SUPERUSER, dbname="postgres")
        self._conninfo = make_conninfo(self.dsn, passfile=str(folder / "none"))  # not the password file of the user
        self._process: subprocess.Popen[bytes] | None = None
        initdb: list[str | Path] = [
            self.binaries / "initdb",
            "-D",
            folder / "data",
            "-U",
            SUPERUSER,
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
        ]
        subprocess.run([*initdb, "--locale=C"], cwd=folder, user=self.user, check=True, stdout=subprocess.DEVNULL)
        self.start()

    @property
    def pid(self) -> int:
        """The pid of the postmaster."""
        assert self._process
        return self._process.pid

    def start(self) -> None:
        """Start the server. Raises RuntimeError if it accepts no connection in time."""
        options = [
            f"--unix_socket_directories={self.folder}",
            "--listen_addresses=",
            "--fsync=off",
            "--max_connections=60",
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.binaries / "postgres", "-D", self.folder / "data", *options],
                cwd=self.folder,
                user=self.user,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                psycopg.connect(self._conninfo).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"the shared server does not start: {self.folder / 'log'}") from None
                time.sleep(0.05)

    def revive(self) -> None:
        """Start the server again if it was stopped, and wait until it accepts connections."""
        assert self._process
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2)
            self.start()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with suppress(psycopg.OperationalError):
                psycopg.connect(self._conninfo).close()
                return
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server at once."""
        assert self._process
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGQUIT)
        self._process.wait(PATIENCE)

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A superuser's connection, in autocommit mode."""
        return psycopg.connect(make_conninfo(self._conninfo, dbname=database), autocommit=True)

    def names(self) -> set[str]:
        """The names of its databases and roles."""
        with self.connect() as connection:
            return {name for (name,) in connection.execute(OBJECTS)}

    def fingerprint(self) -> dict[str, str]:
        """A digest by name: of the roles with memberships and settings, of comments, of each database with its rows."""
        digests = {"roles and settings": self._digest("pg_dumpall", "--globals-only", "--dbname", self._conninfo)}
        with self.connect() as connection:
            databases = [
                name for (name,) in connection.execute("SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1")
            ]
            shared = connection.execute(
                "SELECT classoid::regclass, objoid, description FROM pg_shdescription"
                " UNION ALL SELECT 'pg_database', oid, concat(datname, datistemplate, datallowconn, datconnlimit) "
                " FROM pg_database ORDER BY 1, 2"
            ).fetchall()
        digests["comments on databases and roles"] = hashlib.sha256(repr(shared).encode()).hexdigest()
        for name in databases:
            conninfo = make_conninfo(self._conninfo, dbname=name)
            digests[f"database {name}"] = self._digest("pg_dump", "--create", "--dbname", conninfo)
        return digests

    def _digest(self, program: str, *arguments: str) -> str:
        process = subprocess.run(
            [self.binaries / program, *arguments, "--restrict-key=same"],
            capture_output=True,
            check=True,
            cwd=self.folder,
        )
        return hashlib.sha256(process.stdout).hexdigest()


@contextmanager
def shared_server(place: Place) -> Iterator[SharedServer]:
    """A shared server for the block, in a folder beside that of a place."""
    folder = place.path.with_name(place.path.name.replace("reliability-", "shared-"))
    folder.mkdir(mode=0o711)
    server: SharedServer | None = None
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody")
        server = SharedServer(folder)
        yield server
    finally:
        if server:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def remove(server: SharedServer, added: list[str]) -> None:
    """Remove the databases and roles that a run left: the next run must not be blamed for them."""
    with server.connect() as connection:
        for kind, name in (each.split(" ", 1) for each in added):  # databases are sorted before roles
            if kind == "database":
                connection.execute(sql.SQL("ALTER DATABASE {} WITH is_template false").format(sql.Identifier(name)))
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            else:
                connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
