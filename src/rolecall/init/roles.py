"""Roles that migrations use and do not make, or give no privilege: those of an application that were made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, LiteralString

import postgast
from postgast import pg_query_pb2 as pb
from psycopg import sql

from rolecall.catalog.objects import Policy
from rolecall.database.run import run_on
from rolecall.server.choose import Server
from rolecall.settings import Settings
from rolecall.sql import migrations
from rolecall.sql.tree import walk

UNDEFINED, EXISTS = "42704", "42710"  # SQLSTATEs of "role … does not exist" and "role … already exists"
CREATE = """\
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {text}) THEN
    CREATE ROLE {name} NOLOGIN;
  END IF;
END $$;
"""
# The role that runs the migrations runs this, too: so these are the privileges on all that they make.
GRANT = """\
-- No migration gives this role a privilege: these are what an application needs.
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO {name};
ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {name};
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO {name};
"""
APP = "app"  # the role of an application, if no policy names one


def script(server: Server, settings: Settings) -> str:
    """SQL that makes the roles which the migrations name, and the server does not have. Empty if there are none."""
    texts = (step.read() for phase in migrations.of(settings) for step in phase.steps)
    with run_on(server).cursor() as cursor:
        existing = {name for (name,) in cursor.execute("SELECT rolname FROM pg_roles")}
    missing = [name for name in named(texts) if name not in existing]
    return _format(CREATE, missing)


def with_privileges(policies: Iterable[Policy]) -> str:
    """SQL that makes the roles which policies name, or one, and lets them use all that the migrations make."""
    named = dict.fromkeys(role for policy in policies for role in policy.roles if role != "public")
    return _format(CREATE + GRANT, named or [APP])


def _format(text: LiteralString, names: Iterable[str]) -> str:
    return "".join(
        sql.SQL(text).format(text=sql.Literal(name), name=sql.Identifier(name)).as_string() for name in names
    )


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
    try:
        yield from walk(postgast.parse(text))
    except postgast.PgQueryError:
        return  # the build says what is wrong with it
