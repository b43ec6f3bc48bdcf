"""How rolecall knows what it has made on a server that others use: by marks, and never by a name.

Each run has a random token. A role of its own carries it in a comment, made in the same transaction as the role.
A database is made with an oid that follows from the token and its name: that is part of the statement that makes it,
so no moment is left in which it has no mark; and a comment that is copied, or a database that is renamed, has none.
A role of the platform is marked in the transaction that makes it, by a comment with its own oid.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil
from psycopg import Connection, sql

NOTE = "made by rolecall, which drops it"
FIRST_OID, OIDS = 2**30, 2**30  # of the databases; PostgreSQL counts its own up from 16384
ATTEMPTS = 4  # oids for one name, if another database has the first


@dataclass(frozen=True)
class Mark:
    """What the comment of a role says. ``oid`` and ``server`` are where it was made: a copied comment is no mark."""

    token: str
    oid: int
    server: str
    name: str
    # Of a run's own role: the process that runs it.
    machine: str = ""
    pid: int = 0
    started: float = 0.0
    # Of a role of the platform: what it was like when rolecall was done with it.
    attributes: str = ""
    members: tuple[str, ...] = ()

    @property
    def is_run(self) -> bool:
        """Whether it marks a run's own role, and not one of the platform."""
        return bool(self.pid)

    def as_comment(self) -> str:
        return json.dumps({"rolecall": NOTE, **asdict(self)})

    @classmethod
    def of(cls, comment: str | None) -> Mark | None:
        """The mark in a comment; None if it has none."""
        try:
            data = json.loads(comment or "")
            if data.pop("rolecall") != NOTE:
                return None
            return cls(**{**data, "members": tuple(data["members"])})
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


def database_oids(token: str, name: str) -> Iterator[int]:
    """The oids that a run gives a database of this name, the first that is free."""
    for attempt in range(ATTEMPTS):
        digest = hashlib.sha256(f"{token} {attempt} {name}".encode()).digest()
        yield FIRST_OID + int.from_bytes(digest[:8], "big") % OIDS


@dataclass(frozen=True)
class Role:
    """A role that has a mark, with what it is like now."""

    name: str
    mark: Mark
    attributes: str
    members: tuple[str, ...]

    @property
    def change(self) -> str | None:
        """What somebody has done with it since it was marked; None if nothing."""
        if self.mark.is_run:
            return None
        if self.attributes != self.mark.attributes:
            return "somebody has changed it"
        new = [name for name in self.members if name not in self.mark.members]
        return f"somebody has made {new[0]} a member of it" if new else None


# A role's password is not among its attributes: only a superuser may see that.
_ROLES = """
SELECT r.rolname, r.oid, shobj_description(r.oid, 'pg_authid'),
       md5(ROW(r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolreplication,
               r.rolbypassrls, r.rolconnlimit, extract(epoch FROM r.rolvaliduntil))::text
           || coalesce((SELECT string_agg(s.setconfig::text, '' ORDER BY s.setconfig::text)
                        FROM pg_db_role_setting s WHERE s.setrole = r.oid AND s.setdatabase = 0), '')),
       ARRAY(SELECT DISTINCT pg_get_userbyid(m.member)::text FROM pg_auth_members m WHERE m.roleid = r.oid ORDER BY 1)
FROM pg_roles r
"""
_SYSTEM = "SELECT system_identifier::text FROM pg_control_system()"


@cache
def machine() -> str:
    """What tells this machine, as long as it is up, from others; in a container, the container."""
    boot, space = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    if boot.exists() and space.exists():
        return f"{boot.read_text().strip()} {os.readlink(space)}"  # noqa: PTH115 - it is no path that is read
    return f"{platform.node()} {psutil.boot_time():.0f}"


def make_run(connection: Connection[Any], name: str, token: str, server: str) -> None:
    """Make a run's own role, which nobody can sign in as, with its mark."""
    process = psutil.Process()
    role = sql.Identifier(name)
    with connection.transaction():
        connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN NOINHERIT").format(role))
        (oid,) = connection.execute("SELECT oid FROM pg_roles WHERE rolname = %s", [name]).fetchone() or (0,)
        mark = Mark(token, oid, server, name, machine(), process.pid, process.create_time())
        comment_on_role(connection, name, mark)


def comment_on_role(connection: Connection[Any], name: str, mark: Mark) -> None:
    comment = sql.SQL("COMMENT ON ROLE {} IS {}").format(sql.Identifier(name), sql.Literal(mark.as_comment()))
    connection.execute(comment)


def roles(connection: Connection[Any], server: str) -> list[Role]:
    """Every role that has a mark that was made for it, on this server."""
    found = []
    for name, oid, comment, attributes, members in connection.execute(_ROLES + "ORDER BY 1").fetchall():
        mark = Mark.of(comment)
        if mark and (mark.oid, mark.server, mark.name) == (oid, server, name):
            found.append(Role(name, mark, attributes, tuple(members)))
    return found


@contextmanager
def marking(
    connection: Connection[Any], other: Callable[[], AbstractContextManager[Connection[Any]]], token: str, server: str
) -> Iterator[None]:
    """A transaction: the roles that the block makes are marked when it is committed, and not before they are there.

    ``other`` opens a second connection: a role that it sees before the commit was made by somebody else meanwhile.
    """
    with connection.transaction():
        before = _names(connection)
        yield
        new = _names(connection) - before
        if new:
            with other() as outside:
                new -= _names(outside)
        for name, oid, comment, attributes, members in connection.execute(_ROLES).fetchall():
            mark = Mark.of(comment)
            ours = mark and not mark.is_run and (mark.token, mark.oid) == (token, oid)
            if name in new or ours:
                fresh = Mark(token, oid, server, name, attributes=attributes, members=tuple(members))
                if fresh != mark:
                    comment_on_role(connection, name, fresh)


def _names(connection: Connection[Any]) -> set[str]:
    return {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}


def is_database_of(token: str, name: str, oid: int, comment: str | None) -> bool:
    """Whether a database is one that the run with this token made, and that nobody has put a comment of his own on."""
    return oid in database_oids(token, name) and (comment is None or has_mark(comment, token))


def database_comment(token: str, **more: Any) -> str:
    """What a database's comment says, for people: what it is, and what else a run has to tell of it."""
    return json.dumps({"rolecall": NOTE, "token": token, **more})


def has_mark(comment: str, token: str) -> bool:
    """Whether a database's comment is one that the run with this token wrote."""
    try:
        data = json.loads(comment)
    except ValueError:
        return False
    return isinstance(data, dict) and (data.get("rolecall"), data.get("token")) == (NOTE, token)


def is_alive(mark: Mark, sessions: set[str]) -> bool:
    """Whether the run of this mark goes on: its process lives, or elsewhere, it has a session on the server.

    ``sessions`` are the application names of all sessions. On this machine the process alone decides: a run whose
    sessions were all ended by the server lives, and one whose process was killed does not, though its sessions may
    stay for a moment.
    """
    if mark.machine != machine():
        return mark.name in sessions
    try:
        process = psutil.Process(mark.pid)
        return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - mark.started) < 1
    except psutil.NoSuchProcess:
        return False
