"""Roles that a step creates: a server has each once, for all of its databases."""

from __future__ import annotations

from psycopg import Connection

from rolecall.database.run import Run
from rolecall.dump.nodes import node_of
from rolecall.server.connection import ServerConnection
from rolecall.sql.files import Privileged
from rolecall.sql.script import Statement

EXISTS = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s)"


def skips_existing(run: Run, connection: ServerConnection) -> Privileged:
    """What skips CREATE ROLE for a role that exists, in all databases of a run but the two that it builds first.

    In these, a role that exists is an error, as in production. In the others, the same steps run once more, and the
    server has the roles of the first time. So it is in a run whose ``roles_exist``.
    """
    is_first = connection.info.dbname in (run.baseline, run.template) and not run.roles_exist
    return (lambda _: False) if is_first else _exists_in(connection)


def _exists_in(connection: Connection[object]) -> Privileged:
    def exists(statement: Statement) -> bool:
        node = node_of(statement.text)
        if not node or node.kind != "create_role_stmt":
            return False
        return connection.execute(EXISTS, [node.tree.role]).fetchone() == (True,)

    return exists
