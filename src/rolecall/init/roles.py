"""Roles that migrations do not make: those of an application that were made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, LiteralString

import postgast
from postgast import pg_query_pb2 as pb
from psycopg import sql

from rolecall.database.run import run_on
from rolecall.errors import RolecallError, SqlError
from rolecall.server.choose import Server
from rolecall.settings import Settings
from rolecall.sql import migrations
from rolecall.sql.script import statements
from rolecall.sql.tree import walk

UNDEFINED, EXISTS = "42704", "42710"  # SQLSTATEs of "role … does not exist" and "role … already exists"
CREATE = """\
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {text}) THEN
    CREATE ROLE {name} NOLOGIN;
  END IF;
END $$;
"""
APPLICATION = "rolecall_application"  # the role of an application whose migrations grant nothing
HEAD = """\
-- The migrations grant nothing. Maybe the application owns the tables, and FORCE ROW LEVEL SECURITY binds it; or its
-- role is made by hand. This role stands for it, and may do to each new table what no policy forbids.
"""
GRANTS = """\
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO {name};
ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {name};
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO {name};
"""


class NoClientError(RolecallError):
    """No role but the owner may use the tables. ``roles`` are those that policies name."""

    def __init__(self, text: str, roles: Iterable[str]) -> None:
        super().__init__(text)
        self.roles = list(roles)


@contextmanager
def before(settings: Settings, text: str) -> Iterator[Settings]:
    """The settings with a script that runs before the migrations, for the block; without a text, those as they are."""
    if not text:
        yield settings
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "roles.sql"
        path.write_text(text, encoding="utf-8")
        yield replace(settings, baseline=path)


def missing(server: Server, settings: Settings, error: RolecallError) -> str:
    """SQL that makes the roles without which a build ended with an error. Empty if roles are not the reason."""
    if isinstance(error, NoClientError):
        return HEAD + "".join(_create(name) + _formatted(GRANTS, name) for name in error.roles or [APPLICATION])
    return script(server, settings) if isinstance(error, SqlError) and error.sqlstate == UNDEFINED else ""


def script(server: Server, settings: Settings) -> str:
    """SQL that makes the roles which the migrations name, and the server does not have. Empty if there are none."""
    texts = (step.read() for phase in migrations.of(settings) for step in phase.steps)
    with run_on(server).cursor() as cursor:
        existing = {name for (name,) in cursor.execute("SELECT rolname FROM pg_roles")}
    return "".join(_create(name) for name in named(texts) if name not in existing)


def _create(name: str) -> str:
    return _formatted(CREATE, name)


def _formatted(text: LiteralString, name: str) -> str:
    return sql.SQL(text).format(text=sql.Literal(name), name=sql.Identifier(name)).as_string()


def named(texts: Iterable[str]) -> list[str]:
    """The roles that statements name and do not create, in order."""
    used: dict[str, None] = {}
    proposed: set[str] = set()
    for node in (node for text in texts for node in _nodes(text)):
        if node.DESCRIPTOR.name == "CreateRoleStmt":
            proposed.add(node.role)
        elif node.DESCRIPTOR.name == "RoleSpec" and node.roletype == pb.ROLESPEC_CSTRING:
            used[node.rolename] = None
    return [name for name in used if name not in proposed]


def _nodes(text: str) -> Iterator[Any]:
    for statement in statements(text):
        with suppress(postgast.PgQueryError):  # the build says what is wrong with it
            yield from walk(postgast.parse(statement.text))
