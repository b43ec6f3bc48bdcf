"""Clean up on a running server: a run drops what it created at its end; a later one drops what a killed run left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection, sql

from rolecall.database import marks
from rolecall.database.marks import Mark
from rolecall.database.run import Run
from rolecall.errors import RolecallError
from rolecall.server.connection import ServerConnection

# Held to create or drop roles: a new run must not find roles that another run is about to drop.
# Advisory locks are per database. Runs that share a server share the database of their DSN.
_LOCK = "SELECT pg_advisory_lock(hashtextextended('rolecall: marked roles', 0))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('rolecall: marked roles', 0))"

_RUN = "split_part(application_name, ' ', 1)"  # the name of a session's run: Run.connect adds more words

PATIENCE = 10.0  # seconds for the sessions of a dead run to end

Connect = Callable[[], ServerConnection]


@dataclass(frozen=True)
class Leftover:
    """Something that a run left: a database, a role or a directory. ``reason`` says why it is kept; None: removed."""

    kind: str
    name: str
    reason: str | None = None


@contextmanager
def owned(run: Run) -> Iterator[None]:
    """Drop the databases and roles of a run on a running server at the end of the block.

    At the start, drop what killed runs left. A connection stays open during the block: it shows other machines that
    the run is alive. Nothing else depends on it. If the server does not answer at the end, a line on stderr says so.
    """
    keeper = run.maintain()
    try:
        try:
            with _locked(keeper):
                marks.make_run(keeper, run.name, run.token, keeper.identity.system)
            sweep(keeper)
            yield
        finally:
            _end(run.maintain, run.name)
    finally:
        keeper.close()


def _end(connect: Connect, name: str) -> None:
    """Drop what the run created, on a new connection: the first one may be lost."""
    try:
        with closing(connect()) as connection:
            leftovers = sweep(connection, ended=name)
    except (RolecallError, psycopg.OperationalError) as error:
        message = " ".join(str(error).split())
        print(f"\nrolecall: the databases and roles of this run could not be dropped: {message}", file=sys.stderr)
        print("Run `rolecall sweep` when the server answers again; the next run does the same.", file=sys.stderr)
        return
    for each in leftovers:
        if each.reason and each.name.startswith(name):
            print(f"\nrolecall: the {each.kind} {each.name} was not dropped: {each.reason}.", file=sys.stderr)


def sweep(connection: ServerConnection, *, ended: str | None = None, dry_run: bool = False) -> list[Leftover]:
    """Drop what dead runs left, and what the run named ``ended`` created. With ``dry_run``, drop nothing.

    Roles of the platform are dropped only if no run is alive that may use them. Returns all leftovers.
    """
    with _locked(connection):
        roles = marks.roles(connection, connection.identity.system)
        sessions = {name for (name,) in connection.execute(f"SELECT {_RUN} FROM pg_stat_activity".encode())}
        runs = [role.mark for role in roles if role.mark.is_run]
        alive = [mark for mark in runs if mark.name != ended and marks.is_alive(mark, sessions)]
        leftovers = []
        for mark in runs:
            if mark not in alive:
                leftovers += _sweep_run(connection, mark, dry_run, by_force=mark.name == ended)
        for role in roles:
            if not role.mark.is_run:
                reason = "a run that is alive may use it" if alive else role.change
                leftovers.append(
                    Leftover("role", role.name, reason) if reason else _drop_role(connection, role.name, dry_run)
                )
        return leftovers


@contextmanager
def _locked(connection: Connection[Any]) -> Iterator[None]:
    try:
        connection.execute(_LOCK)
    except psycopg.errors.QueryCanceled as error:
        waits = "\n".join([error.diag.message_primary or "", *getattr(error, "__notes__", [])])
        raise RolecallError(f"another run creates or drops roles on this server, and does not end: {waits}") from None
    try:
        yield
    finally:
        if not connection.broken:
            connection.execute(_UNLOCK)


def _sweep_run(connection: Connection[Any], mark: Mark, dry_run: bool, *, by_force: bool) -> list[Leftover]:
    """Drop the databases of a dead run, then its role: without the role, nothing shows that they are ours."""
    if reason := _end_sessions(connection, mark.name, dry_run):
        return [Leftover("run", mark.name, reason)]
    databases = list(_sweep_databases(connection, mark, dry_run, by_force))
    if any(each.reason for each in databases):
        return databases
    return [*databases, _drop_role(connection, mark.name, dry_run)]


_SESSIONS = f"SELECT pid FROM pg_stat_activity WHERE {_RUN} = %s AND pid <> pg_backend_pid()"


def _end_sessions(connection: Connection[Any], name: str, dry_run: bool) -> str | None:
    """End the sessions of a dead run, for which the server may still create a database. Returns why it failed."""
    if dry_run:
        return None
    deadline = time.monotonic() + PATIENCE
    while pids := [pid for (pid,) in connection.execute(_SESSIONS.encode(), [name]).fetchall()]:
        try:
            connection.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [pids])
        except psycopg.errors.InsufficientPrivilege as error:
            return f"it still has sessions, and {_message(error)}"
        if time.monotonic() > deadline:
            return "its sessions did not end"
        time.sleep(0.01)
    return None


# With the number of sessions that are not the run's own.
_DATABASES = f"""
SELECT d.oid, d.datname, d.datistemplate, d.datconnlimit = -2, shobj_description(d.oid, 'pg_database'),
       (SELECT count(*) FROM pg_stat_activity a
        WHERE a.datid = d.oid AND {_RUN} <> %s AND a.backend_type = 'client backend')
FROM pg_database d
WHERE starts_with(d.datname, %s)
ORDER BY d.datname
"""


def _sweep_databases(connection: Connection[Any], mark: Mark, dry_run: bool, by_force: bool) -> Iterator[Leftover]:
    for oid, name, is_template, invalid, comment, others in connection.execute(
        _DATABASES.encode(), [mark.name, mark.name + "_"]
    ).fetchall():
        if not marks.is_database_of(mark.token, name, oid, comment):
            if oid in marks.database_oids(mark.token, name):
                yield Leftover("database", name, "its comment was changed")
        elif others and not by_force:
            yield Leftover("database", name, f"{others} other session(s) use it")
        elif dry_run:
            yield Leftover("database", name)
        else:
            yield _drop_database(connection, name, is_template and not invalid)


def _drop_database(connection: Connection[Any], name: str, is_template: bool) -> Leftover:
    database = sql.Identifier(name)
    try:
        if is_template:
            connection.execute(sql.SQL("ALTER DATABASE {} WITH is_template false").format(database))
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(database))
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectInUse) as error:
        return Leftover("database", name, _message(error))
    return Leftover("database", name)


def _drop_role(connection: Connection[Any], name: str, dry_run: bool) -> Leftover:
    try:
        if not dry_run:
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))
    except psycopg.errors.DependentObjectsStillExist:
        return Leftover("role", name, "it is in use: objects depend on it")
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectInUse) as error:
        return Leftover("role", name, _message(error))
    return Leftover("role", name)


def _message(error: psycopg.Error) -> str:
    return error.diag.message_primary or "the server refused"
