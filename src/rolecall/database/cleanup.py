"""Leaving nothing behind on a server that others use: what a run made goes at its end, what a killed one left later."""

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

# Whoever makes or drops roles holds it: a run that begins must not find roles that another one is about to drop.
# Advisory locks are per database; runs that share a server share the database of their DSN.
_LOCK = "SELECT pg_advisory_lock(hashtextextended('rolecall: marked roles', 0))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('rolecall: marked roles', 0))"

PATIENCE = 10.0  # seconds for the sessions of a dead run to end

Connect = Callable[[], ServerConnection]


@dataclass(frozen=True)
class Leftover:
    """A database or a role that a run left, and why it stays. Without ``why`` it is removed, or would be."""

    kind: str
    name: str
    why: str | None = None


@contextmanager
def owned(run: Run) -> Iterator[None]:
    """Own the databases and roles of a run on a server that others use, and drop them at the end of the block.

    What killed runs left is dropped at the start. The connection that is held meanwhile shows other machines that the
    run is alive; nothing else depends on it, so it may be lost. If the server is gone at the end, a line on stderr
    says that something was left there.
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
    """Drop what the run made, by a connection of its own: the one that it began with may be gone."""
    try:
        with closing(connect()) as connection:
            left = sweep(connection, ended=name)
    except (RolecallError, psycopg.OperationalError) as error:
        said = " ".join(str(error).split())
        print(f"\nrolecall: what this run made on the server could not be dropped: {said}", file=sys.stderr)
        print("Run `rolecall sweep` when it answers again; the next run does the same.", file=sys.stderr)
        return
    for each in left:
        if each.why and each.name.startswith(name):
            print(f"\nrolecall: the {each.kind} {each.name} was left: {each.why}.", file=sys.stderr)


def sweep(connection: ServerConnection, *, ended: str | None = None, dry_run: bool = False) -> list[Leftover]:
    """Drop what dead runs left, and what the run that is named ``ended`` made; with ``dry_run`` only say what.

    Roles of the platform are dropped only while no run lives that may be about to use them.
    """
    with _locked(connection):
        found = marks.roles(connection, connection.identity.system)
        sessions = {name for (name,) in connection.execute("SELECT application_name FROM pg_stat_activity")}
        runs = [role.mark for role in found if role.mark.is_run]
        alive = [mark for mark in runs if mark.name != ended and marks.is_alive(mark, sessions)]
        report = []
        for mark in runs:
            if mark in alive:
                continue
            if busy := _end_sessions(connection, mark.name, dry_run):
                report.append(Leftover("run", mark.name, busy))
            else:
                dropped = list(_sweep_databases(connection, mark, dry_run, by_force=mark.name == ended))
                report += dropped
                if not any(each.why for each in dropped):  # else the role is what tells that they are ours
                    report.append(_drop_role(connection, mark.name, dry_run))
        for role in found:
            if not role.mark.is_run:
                busy = "a run that lives may use it" if alive else None
                why = busy or role.change
                report.append(Leftover("role", role.name, why) if why else _drop_role(connection, role.name, dry_run))
        return report


@contextmanager
def _locked(connection: Connection[Any]) -> Iterator[None]:
    connection.execute(_LOCK)
    try:
        yield
    finally:
        if not connection.broken:
            connection.execute(_UNLOCK)


_SESSIONS = "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND pid <> pg_backend_pid()"


def _end_sessions(connection: Connection[Any], name: str, dry_run: bool) -> str | None:
    """End the sessions of a run that is dead: the server may still be making a database for it. Why not, if not."""
    if dry_run:
        return None
    deadline = time.monotonic() + PATIENCE
    while pids := [pid for (pid,) in connection.execute(_SESSIONS, [name]).fetchall()]:
        try:
            connection.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [pids])
        except psycopg.errors.InsufficientPrivilege as error:
            return f"it still has sessions, and {_told(error)}"
        if time.monotonic() > deadline:
            return "its sessions do not end"
        time.sleep(0.01)
    return None


# The sessions that are not the run's own: whose they are, nobody knows.
_DATABASES = """
SELECT d.oid, d.datname, d.datistemplate, d.datconnlimit = -2, shobj_description(d.oid, 'pg_database'),
       (SELECT count(*) FROM pg_stat_activity a
        WHERE a.datid = d.oid AND a.application_name <> %s AND a.backend_type = 'client backend')
FROM pg_database d
WHERE starts_with(d.datname, %s)
ORDER BY d.datname
"""


def _sweep_databases(connection: Connection[Any], mark: Mark, dry_run: bool, by_force: bool) -> Iterator[Leftover]:
    for oid, name, is_template, invalid, comment, others in connection.execute(
        _DATABASES, [mark.name, mark.name + "_"]
    ).fetchall():
        if not marks.is_database_of(mark.token, name, oid, comment):
            if oid in marks.database_oids(mark.token, name):
                yield Leftover("database", name, "somebody has put a comment on it")
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
        return Leftover("database", name, _told(error))
    return Leftover("database", name)


def _drop_role(connection: Connection[Any], name: str, dry_run: bool) -> Leftover:
    try:
        if not dry_run:
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))
    except psycopg.errors.DependentObjectsStillExist:
        return Leftover("role", name, "somebody else uses it: objects depend on it")
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectInUse) as error:
        return Leftover("role", name, _told(error))
    return Leftover("role", name)


def _told(error: psycopg.Error) -> str:
    return error.diag.message_primary or "the server refused"
