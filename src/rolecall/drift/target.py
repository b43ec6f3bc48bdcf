"""The database that is checked: a server that is only read, or a dump that is loaded into a throwaway database."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import postgast
import psycopg

from rolecall.catalog import snapshot
from rolecall.catalog.snapshot import Snapshot
from rolecall.database.templates import manifest_of
from rolecall.drift.expected import database
from rolecall.dsn import URL, Conninfo
from rolecall.dump.left_out import lines
from rolecall.errors import RolecallError
from rolecall.server.choose import Server
from rolecall.server.connection import ConnectError, ServerConnection, connect
from rolecall.settings import Settings, check_dsn

# A check must not make anybody wait: neither for its locks (ACCESS SHARE, as pg_dump has) nor behind them.
LIMITS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "30s",
    "lock_timeout": "3s",
    "idle_in_transaction_session_timeout": "30s",
}
ADVICE = (
    "Give a URL (postgresql://…), a connection string (host=… dbname=…), the name of a libpq service, or an .sql file."
)


@dataclass(frozen=True)
class Target:
    """What the user named: a dump or a connection string. ``source`` is where the name comes from, for errors."""

    dump: Path | None
    dsn: Conninfo
    source: str

    def __str__(self) -> str:
        """The target without secrets."""
        return str(self.dump or self.dsn)

    @classmethod
    def of(cls, text: str, source: str) -> Target:
        """Read the text that the user gave. Raises RolecallError if it names nothing; the error repeats no secret."""
        if not text:
            raise RolecallError(f"{source} names no database.\n{ADVICE}")
        if text.lower().endswith(".sql") and not URL.match(text):
            path = Path(text).expanduser().resolve()
            if not path.is_file():
                raise RolecallError(f"{source} names {path}, which does not exist.")
            return cls(path, Conninfo(), source)
        dsn = Conninfo(text if URL.match(text) or "=" in text or "://" in text else f"service={text}")
        check_dsn(dsn, source)
        return cls(None, dsn, source)

    def open(self) -> ServerConnection:
        """Open a connection that only reads. Raises RolecallError if the server does not answer."""
        try:
            connection = connect(self.dsn, application_name="rolecall check")
        except ConnectError as error:
            raise RolecallError(f"{self.source}: the server does not answer: {error}") from None
        for name, value in LIMITS.items():
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        return connection


def read(connection: ServerConnection, schemas: Collection[str]) -> Snapshot:
    """Read these schemas in one read-only transaction. Raises RolecallError if that is not possible now."""
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    try:
        with connection.transaction():
            return snapshot.read(connection, schemas)
    except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled) as error:
        raise RolecallError(
            f"the database could not be read: {error.diag.message_primary}.\n"
            "Another session holds a lock on one of the tables, for example a migration. Run the check again later."
        ) from None
    except psycopg.errors.InternalError_ as error:  # an object was dropped after the list of objects was read
        raise RolecallError(
            f"the database changed while it was read: {error.diag.message_primary}.\nRun the check again."
        ) from None
    except psycopg.OperationalError as error:
        raise RolecallError(f"the connection was lost: {' '.join(str(error).split())}.\nRun the check again.") from None


def read_dump(server: Server, settings: Settings, dump: Path, head: Snapshot) -> Snapshot:
    """Load a dump on top of the platform, and read it. ``head`` is what the steps make.

    Raises SqlError if a statement of the dump fails.
    """
    loaded = replace(settings, baseline=dump, requires=None, migrations=None)
    with database(server, loaded, roles_exist=True) as (run, connection, _role):
        found, left_out = snapshot.read(connection), manifest_of(run).left_out
    unseen = {"role": "roles: a dump does not have their attributes and memberships"}
    # Buckets are rows. A dump may have them or not.
    if any(item.kind == "bucket" and item not in found.items for item in head.items):
        unseen["bucket"] = "storage buckets: the dump has no rows of storage.buckets"
    if left_out:
        count = "1 statement" if len(left_out) == 1 else f"{len(left_out)} statements"
        first = f"{count} of the dump, left out or replaced by a stand-in:"
        unseen["dump"] = "\n  ".join([first, *lines(left_out, verbose=False)])
    return replace(found, unseen=unseen)


class Rewriter:
    """Asks the server of the expected state how its version writes a query of another version.

    Version 15 writes ``SELECT t.id FROM t`` where later versions write ``SELECT id FROM t``.
    """

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection

    def __call__(self, query: str) -> str | None:
        """The query as this version writes it; None if it cannot be read here."""
        try:
            if len(postgast.parse(query).stmts) != 1:
                return None
            with self.connection.transaction(force_rollback=True):
                self.connection.execute("SELECT set_config('search_path', '', true)")
                self.connection.execute(f"CREATE TEMP VIEW rolecall_query AS {query}".encode())
                row = self.connection.execute(
                    "SELECT rtrim(btrim(pg_get_viewdef('pg_temp.rolecall_query'::regclass)), ';')"
                ).fetchone()
        except (psycopg.Error, postgast.PgQueryError):
            return None
        return row[0] if row else None


def schemas(*snapshots: Snapshot) -> set[str]:
    """The names of all schemas in these snapshots, without quotes."""
    names = {item.object for each in snapshots for item in each.items if item.kind == "schema"}
    return {name[1:-1].replace('""', '"') if name.startswith('"') else name for name in names}
