"""Databases and roles of a server: their names, and statements about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql

Connection = psycopg.Connection[Any]
Inventory = Callable[[Connection], list[tuple[Any, ...]]]  # the fixture of this name


def names(connection: Connection) -> set[tuple[str, str]]:
    """The databases and roles: ``DATABASE`` or ``ROLE``, and the name."""
    query = "SELECT 'DATABASE', datname FROM pg_database UNION ALL SELECT 'ROLE', rolname FROM pg_roles"
    return set(connection.execute(query).fetchall())


def execute(connection: Connection, statement: str, *names: str) -> None:
    """Run a statement with quoted names in place of ``{}``."""
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def comment_on(connection: Connection, kind: str, name: str, text: str) -> None:
    """Run COMMENT ON for a database or a role."""
    connection.execute(sql.SQL("COMMENT ON " + kind + " {} IS {}").format(sql.Identifier(name), sql.Literal(text)))
