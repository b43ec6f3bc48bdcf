"""A run's server and its databases: their names, and how they are created and dropped.

All databases are named ``rolecall_<run>_…`` and carry the run's mark. Nothing else on the server is changed.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg
from psycopg import sql

from rolecall.database import copying, marks
from rolecall.dsn import Conninfo
from rolecall.errors import RolecallError
from rolecall.server.choose import Server
from rolecall.server.connection import Identity, OtherServerError, ServerConnection, connect
from rolecall.server.waits import Timeouts
from rolecall.settings import Settings

LONGEST_NAME = 63  # bytes of an application_name

END_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'
"""


@dataclass(frozen=True)
class Run:
    """The server of this run and the names of its databases: everything that a worker needs to know.

    ``token`` marks what the run creates on a running server. It is empty on a throwaway server.
    """

    conninfo: Conninfo
    name: str
    server: str
    bin: str | None
    throwaway: bool  # started by rolecall, and used by nobody else
    token: str = ""
    identity: Identity = field(default_factory=Identity)
    timeouts: Timeouts = field(default_factory=Timeouts)
    roles_exist: bool = False  # those that its SQL creates: other SQL of the project has run on the server before

    def __post_init__(self) -> None:
        object.__setattr__(self, "conninfo", Conninfo(self.conninfo))

    @property
    def baseline(self) -> str:
        return self.name + "_baseline"

    @property
    def template(self) -> str:
        return self.name + "_migrated"

    def connect(self, database: str, label: str | None = None) -> ServerConnection:
        """Open a connection to one of the run's databases as the superuser, in autocommit mode.

        The server shows ``label`` as the name of the connection; by default, the file and line of the caller.
        """
        return self._connect(database, label or _place(sys._getframe(1)), self.timeouts, own=True)

    def maintain(self, database: str | None = None) -> ServerConnection:
        """Open a connection to the database of the DSN, or to another one, in autocommit mode.

        It may wait for a lock as long as a statement may take: runs that share a server wait for each other.
        """
        timeouts = replace(self.timeouts, lock=0)
        return self._connect(database or self.conninfo.params.get("dbname"), "", timeouts, own=False)

    def _connect(self, database: str | None, label: str, timeouts: Timeouts, *, own: bool) -> ServerConnection:
        name = f"{self.name} {label}".strip()[:LONGEST_NAME]  # database/cleanup.py reads the first word
        return connect(
            self.conninfo,
            own=own,
            identity=self.identity,
            timeouts=timeouts,
            application_name=name,
            dbname=database,
        )

    @contextmanager
    def cursor(self, database: str | None = None) -> Iterator[psycopg.Cursor[Any]]:
        """A cursor for the database of the DSN, or for another one, in autocommit mode."""
        with closing(self.maintain(database)) as connection, connection.cursor() as cursor:
            yield cursor

    @contextmanager
    def clone(self, template: str, suffix: str) -> Iterator[str]:
        """Create a database from a template for the block. Yields its name."""
        name = f"{self.name}_{suffix}"
        self.create(name, template)
        try:
            yield name
        finally:
            # If this fails, the end of the run tries again, and reports an error.
            with suppress(psycopg.OperationalError, OtherServerError):
                self.drop(name)

    def create(self, database: str, template: str | None = None) -> None:
        """Create a database with its mark: see :mod:`rolecall.database.marks`.

        A copy of a template has the template's privileges and settings too. Sessions on the template are ended, because
        PostgreSQL does not copy a database that is in use.
        Raises RolecallError if no oid is free.
        """
        with self.cursor() as cursor:
            if template:
                cursor.execute(END_SESSIONS, [template])
            self._create(cursor, database, template)
            if template:
                copying.copy(cursor, template, database)

    def _create(self, cursor: psycopg.Cursor[Any], database: str, template: str | None) -> None:
        if not self.token:
            cursor.execute(self._create_database(database, template))
            return
        for oid in marks.database_oids(self.token, database):
            with suppress(psycopg.errors.InvalidParameterValue):  # the oid is taken
                cursor.execute(self._create_database(database, template, oid))
                self.comment_on(database)
                return
        raise RolecallError(f"the database {database} could not be created: all its oids are taken.")

    def _create_database(self, database: str, template: str | None, oid: int | None = None) -> sql.Composed:
        query = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database))
        if template:
            query += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        if oid:
            query += sql.SQL(" OID {}").format(sql.Literal(oid))
        # file_copy takes half the time, but needs two checkpoints of the whole server. They cost nothing on a server
        # without fsync, and much on a server that others use.
        return query + sql.SQL(" STRATEGY file_copy") if self.throwaway else query

    def comment_on(self, database: str, **details: Any) -> None:
        """Write a database's comment: the mark and ``details``."""
        text = sql.Literal(marks.database_comment(self.token, **details))
        with self.cursor() as cursor:
            cursor.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(database), text))

    def drop(self, database: str) -> None:
        """Drop a database, if it exists, and end all sessions on it."""
        name = sql.Identifier(database)
        with self.cursor() as cursor:
            if not cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
                return
            cursor.execute(sql.SQL("ALTER DATABASE {} WITH allow_connections false is_template false").format(name))
            cursor.execute(END_SESSIONS, [database])
            cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(name))

    def marking(self, connection: ServerConnection) -> AbstractContextManager[None]:
        """A transaction that marks the roles which the block creates. Without a token: no transaction and no marks."""
        if not self.token:
            return nullcontext()
        return marks.marking(connection, lambda: closing(self.maintain()), self.token, connection.identity.system)

    def as_json(self) -> dict[str, Any]:
        """The run for another process. The password is not in it: the other process has the settings."""
        return {**asdict(self), "conninfo": self.conninfo.bare}

    @classmethod
    def of(cls, data: Mapping[str, Any], settings: Settings) -> Run:
        """The run from :meth:`as_json`, with the password from this process's settings."""
        secrets = settings.pg_dsn.secrets if settings.pg_dsn else {}
        conninfo = Conninfo(data["conninfo"]).to(**secrets)
        identity, timeouts = Identity(**data["identity"]), Timeouts(**data["timeouts"])
        return cls(**{**data, "conninfo": conninfo, "identity": identity, "timeouts": timeouts})


def _place(frame: FrameType) -> str:
    """The file and line that a frame is in."""
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


def run_on(server: Server, timeouts: Timeouts | None = None) -> Run:
    """A new run on a server. ``timeouts`` are those of its connections; by default, rolecall's."""
    return Run(
        Conninfo(server.conninfo),
        f"rolecall_{secrets.token_hex(4)}",
        str(server),
        str(server.bin or "") or None,
        throwaway=server.cluster is not None,
        token=secrets.token_hex(16),
        identity=server.identity,
        timeouts=timeouts or Timeouts(),
    )
