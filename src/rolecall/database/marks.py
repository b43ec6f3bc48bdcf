"""Marks: they show what rolecall created on a running server. A name alone is never enough.

Each run has a random token, and creates a role for itself. The comment on that role has the token, and is written in
the transaction that creates the role. The oid of a database follows from the token and the database's name. It is part
of CREATE DATABASE, so there is no moment without a mark; a copied comment or a renamed database has no valid mark.
A role of the platform gets a comment with its own oid, in the transaction that creates the role.
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

from psycopg import Connection, sql

NOTE = "made by rolecall, which drops it"
FIRST_OID, OIDS = 2**30, 2**30  # the range for databases; PostgreSQL itself counts up from 16384
ATTEMPTS = 4  # oids for one name, in case other databases have the first ones


@dataclass(frozen=True)
class Mark:
    """The contents of a role's comment. ``oid`` and ``server`` must match the role: a copied comment is no mark."""

    token: str
    oid: int
    server: str
    name: str
    # For a run's own role: the process of the run.
    machine: str = ""
    pid: int = 0
    started: float = 0.0
    # For a role of the platform: its state when rolecall marked it.
    attributes: str = ""
    members: tuple[str, ...] = ()

    @property
    def is_run(self) -> bool:
        """Whether it marks a run's own role. Otherwise it marks a role of the platform."""
        return bool(self.pid)

    def as_comment(self) -> str:
        return json.dumps({"rolecall": NOTE, **asdict(self)})

    @classmethod
    def of(cls, comment: str | None) -> Mark | None:
        """The mark in a comment; None if there is none."""
        try:
            data = json.loads(comment or "")
            if data.pop("rolecall") != NOTE:
                return None
            return cls(**{**data, "members": tuple(data["members"])})
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


def database_oids(token: str, name: str) -> Iterator[int]:
    """The oids for a run's database of this name. The run takes the first free one."""
    for attempt in range(ATTEMPTS):
        digest = hashlib.sha256(f"{token} {attempt} {name}".encode()).digest()
        yield FIRST_OID + int.from_bytes(digest[:8], "big") % OIDS


@dataclass(frozen=True)
class Role:
    """A role with a mark, and its state now."""

    name: str
    mark: Mark
    attributes: str
    members: tuple[str, ...]

    @property
    def change(self) -> str | None:
        """What has changed since the role was marked; None if nothing."""
        if self.mark.is_run:
            return None
        if self.attributes != self.mark.attributes:
            return "its attributes were changed"
        new = [name for name in self.members if name not in self.mark.members]
        return f"it has a new member, {new[0]}" if new else None


# The attributes do not include the password: only a superuser may read it.
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
    """Identifies this machine until it reboots; in a container, the container."""
    boot, space = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    if boot.exists() and space.exists():
        return f"{boot.read_text().strip()} {os.readlink(space)}"  # noqa: PTH115 - the target is not a path
    import psutil

    return f"{platform.node()} {psutil.boot_time():.0f}"


def make_run(connection: Connection[Any], name: str, token: str, server: str) -> None:
    """Create a run's own role with its mark. The role cannot log in."""
    import psutil

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
    """Every role with a valid mark: one that was written for this role, on this server."""
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
    """A transaction that marks the roles which the block creates.

    ``other`` opens a second connection. A role that it sees before the commit was created by another session.
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
                current = Mark(token, oid, server, name, attributes=attributes, members=tuple(members))
                if current != mark:
                    comment_on_role(connection, name, current)


def _names(connection: Connection[Any]) -> set[str]:
    return {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}


def is_database_of(token: str, name: str, oid: int, comment: str | None) -> bool:
    """Whether the run with this token created a database, and its comment was not changed."""
    return oid in database_oids(token, name) and (comment is None or has_mark(comment, token))


def database_comment(token: str, **details: Any) -> str:
    """The comment of a database: who created it, and ``details``."""
    return json.dumps({"rolecall": NOTE, "token": token, **details})


def has_mark(comment: str, token: str) -> bool:
    """Whether the run with this token wrote a database's comment."""
    try:
        data = json.loads(comment)
    except ValueError:
        return False
    return isinstance(data, dict) and (data.get("rolecall"), data.get("token")) == (NOTE, token)


def is_alive(mark: Mark, sessions: set[str]) -> bool:
    """Whether the run of this mark is alive: it has a process on this machine, or a session from another machine.

    ``sessions`` are the application names of all sessions. On this machine only the process counts: a run may have
    lost all its sessions, and the sessions of a killed run may stay for a moment.
    """
    if mark.machine != machine():
        return mark.name in sessions
    import psutil

    try:
        process = psutil.Process(mark.pid)
        return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - mark.started) < 1
    except psutil.NoSuchProcess:
        return False
