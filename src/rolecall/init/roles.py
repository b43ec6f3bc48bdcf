"""Roles that migrations use and do not make: those of an application that were made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import postgast
from postgast import pg_query_pb2 as pb
from psycopg import sql

from rolecall.database.run import run_on
from rolecall.server.choose import Server
from rolecall.settings import Settings
from rolecall.sql import migrations
from rolecall.sql.tree import walk

UNDEFINED = "42704"  # SQLSTATE of "role … does not exist"
CREATE = """\
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {text}) THEN
    CREATE ROLE {name} NOLOGIN;
  END IF;
END $$;
"""


def script(server: Server, settings: Settings) -> str:
    """SQL that makes the roles which the migrations name, and the server does not have. Empty if there are none."""
    texts = (step.read() for phase in migrations.of(settings) for step in phase.steps)
    with run_on(server).cursor() as cursor:
        existing = {name for (name,) in cursor.execute("SELECT rolname FROM pg_roles")}
    missing = [name for name in named(texts) if name not in existing]
    return "".join(
        sql.SQL(CREATE).format(text=sql.Literal(name), name=sql.Identifier(name)).as_string() for name in missing
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
