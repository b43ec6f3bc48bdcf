"""A fresh database for sessions of people and programs: with the world, and roles that they can log in as."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection, sql
from psycopg.conninfo import make_conninfo

from rolecall.access.custom_settings import custom_settings
from rolecall.access.persona import Persona
from rolecall.access.session import AUTHENTICATOR
from rolecall.access.world import World
from rolecall.ask.project import provisioned
from rolecall.database.run import Run
from rolecall.dsn import Conninfo
from rolecall.errors import RolecallError
from rolecall.grids.grid import Grid
from rolecall.server.cluster import SUPERUSER, Cluster
from rolecall.settings import Settings

LOGIN = "persona_login"  # where no authenticator may become all personas
MEMBER = """
SELECT bool_and(pg_has_role(a.oid, r.oid, 'MEMBER')) FROM pg_roles AS a, pg_roles AS r
WHERE a.rolname = %s AND NOT a.rolsuper AND r.rolname = ANY (%s)
"""
# Without the limits of tests: people think between two statements.
PATIENT = {"statement_timeout": "0", "lock_timeout": "0"}


@dataclass(frozen=True)
class Live:
    """A database that is dropped at the end. ``cluster`` is the throwaway server; None on a running server.

    ``names`` are the custom settings that the schema and the personas have.
    """

    run: Run
    database: str
    world: World
    grids: Mapping[str, Grid]
    settings: Settings
    names: Sequence[str]
    cluster: Cluster | None

    def login(self, roles: Sequence[str]) -> Conninfo:
        """The conninfo of a role that may become these, and is no superuser.

        It is the authenticator if that may, else a new role. On a running server nobody can log in without a password:
        there it is the user of the DSN.
        """
        target = self.run.conninfo.to(dbname=self.database)
        if self.cluster is None:
            return target
        with self.run.connect(self.database, "login") as connection:
            name = _login(connection, list(dict.fromkeys(roles)))
        return target.to(user=name, password=None)

    def protect(self, login: str) -> Live:
        """Let only one role log in without a password. The superuser gets a new one, which only this process knows."""
        if self.cluster is None:
            return self
        password = secrets.token_urlsafe(24)
        lines = [f"local all {sql.Identifier(login).as_string()} trust", "local all all scram-sha-256"]
        with self.run.connect(self.database, "login") as connection:
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(SUPERUSER), sql.Literal(password))
            connection.execute(statement)
            path = sql.Literal(str(self.cluster.data / "pg_hba.conf"))
            rows = sql.SQL(", ").join(map(sql.Literal, lines))
            connection.execute(sql.SQL("COPY (SELECT unnest(ARRAY[{}])) TO {}").format(rows, path))
            connection.execute("SELECT pg_reload_conf()")
        return replace(self, run=replace(self.run, conninfo=self.run.conninfo.to(password=password)))

    def prepare(self, persona: Persona) -> None:
        """Run the setup of a persona: once, or for each table of the world if it names a table."""
        if not persona.setup:
            return
        tables: list[str | None] = [None] if persona.prepare(None) else list(self.world.rows)
        with self.run.connect(self.database, "setup") as connection:
            for table in tables:
                try:
                    connection.execute(persona.prepare(table).encode())
                except psycopg.Error as error:
                    raise RolecallError(f"the setup of {persona.name!r} failed: {error}") from None

    def session(self, persona: Persona) -> dict[str, str]:
        """The settings of a session of a persona, as PostgREST sets them for a request; others are empty."""
        return PATIENT | dict.fromkeys(self.names, "") | dict(persona.settings("POST"))


@contextmanager
def live() -> Iterator[Live]:
    """The database of the project in this folder, for the block. Raises RolecallError if it cannot be made."""
    with provisioned() as (provisioner, world, grids):
        run = provisioner.run
        with run.clone(run.template, "live") as database:
            with run.connect(database, "names") as connection:
                names = sorted({*custom_settings(connection), *world.settings})
            cluster = getattr(provisioner, "cluster", None)
            yield Live(run, database, world, grids, provisioner.settings, names, cluster)


def _login(connection: Connection[Any], roles: list[str]) -> str:
    """A role that may become these: the authenticator, or a new one."""
    row = connection.execute(MEMBER, [AUTHENTICATOR, roles]).fetchone()
    if row and row[0]:
        connection.execute(sql.SQL("ALTER ROLE {} LOGIN").format(sql.Identifier(AUTHENTICATOR)))
        return AUTHENTICATOR
    connection.execute(sql.SQL("CREATE ROLE {} LOGIN NOINHERIT").format(sql.Identifier(LOGIN)))
    for role in roles:
        connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(LOGIN)))
    return LOGIN


def options(settings: Mapping[str, str]) -> str:
    """Settings as libpq's parameter ``options``: a backslash before each space and backslash."""
    escaped = {name: value.replace("\\", "\\\\").replace(" ", "\\ ") for name, value in settings.items()}
    return " ".join(f"-c {name}={value}" for name, value in escaped.items())


def uri(conninfo: Conninfo) -> str:
    """A conninfo as libpq's ``name=value`` pairs, without secrets."""
    return make_conninfo(conninfo.bare)


def program(name: str, candidates: Sequence[Path | None]) -> Path | None:
    """A program of PostgreSQL in the first of these directories that has it; None if none has."""
    return next((folder / name for folder in candidates if folder and (folder / name).is_file()), None)
