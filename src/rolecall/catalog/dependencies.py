"""What the objects of a database depend on: from pg_depend, and the texts of functions, which pg_depend leaves out."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, NamedTuple

from psycopg import Connection

from rolecall.catalog.snapshot import Item

# The bodies that PostgreSQL stores as text. In a body of the SQL standard (RETURN …), it knows the dependencies.
BODIES = """
SELECT p.oid::regprocedure::text, lanname, pg_get_functiondef(p.oid), prosrc, prorettype = 'trigger'::regtype
FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace JOIN pg_language l ON l.oid = prolang
WHERE lanname IN ('sql', 'plpgsql') AND prosqlbody IS NULL AND prokind IN ('f', 'p')
  AND nspname !~ '^pg_' AND nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
ORDER BY 1
"""


class Dependency(NamedTuple):
    """``item`` needs ``needed``. Both have the names of a snapshot; what an extension has is that extension."""

    item: Item
    needed: Item


class Body(NamedTuple):
    """A function whose body is a text. ``language`` is sql or plpgsql, ``definition`` the whole CREATE."""

    item: Item
    language: str
    definition: str
    source: str
    is_trigger: bool


def read(connection: Connection[Any]) -> tuple[list[Dependency], list[Body]]:
    """Read the dependencies of all objects outside the system schemas, and the bodies that are texts."""
    query = (files("rolecall.catalog") / "dependencies.sql").read_bytes()
    with connection.transaction():
        connection.execute("SELECT set_config('search_path', '', true)")  # every name has its schema
        dependencies = [Dependency(Item(*row[:3]), Item(*row[3:])) for row in connection.execute(query)]
        bodies = [Body(Item("routine", row[0]), *row[1:]) for row in connection.execute(BODIES.encode())]
    return dependencies, bodies
