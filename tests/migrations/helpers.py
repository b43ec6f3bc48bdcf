"""What several tests of the migrations need: the tables of a database, and other default privileges."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import Connection, sql

from rolecall.database.scratch import Scratch

each_regime = pytest.mark.parametrize(
    "regime", ["REVOKE ALL ON {} FROM {}", "GRANT ALL ON {} TO {}"], ids=["strict", "permissive"]
)


def tables(connection: Connection[Any]) -> list[str]:
    """The qualified names of all tables outside PostgreSQL's own schemas, sorted."""
    names = connection.execute("SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname !~ '^(pg_|inf)'")
    return sorted(name for (name,) in names)


def change_defaults(scratch: Scratch, regime: str) -> None:
    """Change the default privileges of the migration role for the roles of the API, as ``each_regime`` says."""
    role = sql.Identifier(scratch.role or "")
    for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):
        change = regime.format(kind, "anon, authenticated, service_role")
        defaults = sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} ").format(role).as_string()
        scratch.connection.execute((defaults + change).encode())
