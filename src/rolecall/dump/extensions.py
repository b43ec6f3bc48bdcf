"""The extensions that a dump or a migration asks for: the server's own, or a stand-in."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import psycopg
from psycopg import Connection, sql

from rolecall.dump import dropping, indexes, stand_ins
from rolecall.dump.nodes import Node, cascades, node_of, object_type, string_option
from rolecall.dump.stand_ins import USUAL_SCHEMA, StandIn
from rolecall.sql.script import Statement

# Supabase lets its role postgres, which is no superuser, create these. Here are those that a server or a stand-in has.
OF_SUPABASE = frozenset(
    {"autoinc", "bloom", "btree_gin", "btree_gist", "citext", "cube", "dblink", "dict_int", "dict_xsyn"}
    | {"earthdistance", "fuzzystrmatch", "hstore", "hypopg", "index_advisor", "insert_username", "intarray", "isn"}
    | {"ltree", "moddatetime", "pgtap"}
    | {"pg_buffercache", "pg_cron", "pg_graphql", "pg_net", "pg_prewarm", "pg_stat_statements", "pg_trgm"}
    | {"pg_walinspect", "pgcrypto", "pgjwt", "pgrowlocks", "pgsodium", "pgstattuple", "postgres_fdw", "refint"}
    | {"seg", "sslinfo", "supabase_vault", "tablefunc", "tcn", "tsm_system_rows", "tsm_system_time", "unaccent"}
    | {"uuid-ossp", "vector"}
)
OBJECTS = """
SELECT nspname::text, relname::text FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind <> 'i'
UNION SELECT nspname, proname FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace
UNION SELECT nspname, typname FROM pg_type JOIN pg_namespace n ON n.oid = typnamespace
"""
API_ROLES = ["anon", "authenticated", "service_role"]


class Outcome(Enum):
    """What became of a request for an extension."""

    THERE = "it was there"
    STAND_IN_THERE = "its stand-in was there"
    INSTALLED = "installed"
    STAND_IN = "replaced by a stand-in"
    MISSING = "the server lacks it, and there is no stand-in"


class Extensions:
    """The extensions of a database. The connected role installs them, and ``role`` may use their schemas."""

    def __init__(self, connection: Connection[Any], role: str | None) -> None:
        self.connection, self.role = connection, role
        self.names = {name for (name,) in connection.execute("SELECT extname FROM pg_extension")}

    def create(self, name: str, schema: str) -> Outcome:
        """Install an extension, or make its stand-in. Without a schema, the current one is taken."""
        if name in self.names:
            return Outcome.THERE
        if self._is_available(name) and self._install(name, schema):
            return Outcome.INSTALLED
        stand_in = stand_ins.all_stand_ins().get(name)
        if stand_in and self.schema_of(stand_in):
            return Outcome.STAND_IN_THERE
        if stand_in:
            self._make(stand_in, schema or self._current_schema())
            return Outcome.STAND_IN
        self._make_schema(schema)  # an error about its objects then names these, and not the schema
        return Outcome.MISSING

    def need(self, stand_in: StandIn, schema: str) -> Outcome:
        """Install the extension of a stand-in if the server has it, else make the stand-in."""
        if self._is_available(stand_in.name) and self._install(stand_in.name, schema):
            return Outcome.INSTALLED
        self._make(stand_in, schema)
        return Outcome.STAND_IN

    def needs_stand_in(self, name: str) -> bool:
        """Whether the server lacks an extension, and there is a stand-in for it."""
        return name in stand_ins.all_stand_ins() and not self._is_available(name)

    def _is_available(self, name: str) -> bool:
        query = "SELECT 1 FROM pg_available_extensions WHERE name = %s"
        return self.connection.execute(query, [name]).fetchone() is not None

    def _install(self, name: str, schema: str) -> bool:
        """Install an extension of the server, and those that it needs. Returns whether that succeeded.

        An extension may be there without a library that it needs, or only work if the server was started with it.
        """
        query = "CREATE EXTENSION {}" + (" SCHEMA {}" if schema else "") + " CASCADE"
        try:
            with self.connection.transaction():
                self._make_schema(schema)
                self._sql(query, sql.Identifier(name), sql.Identifier(schema))
        except psycopg.Error:
            if self.connection.broken:
                raise
            return False
        self.names.add(name)
        return True

    def schema_of(self, stand_in: StandIn) -> str | None:
        """The schema in which the objects of a stand-in are, if all exist; one of them if they are in several."""
        rows = self.connection.execute(OBJECTS).fetchall()
        existing = {f"{schema}.{name}" for schema, name in rows}
        return next((schema for schema, _ in rows if stand_in.makes_in(schema) <= existing), None)

    def drop(self, name: str, *, if_exists: bool, cascade: bool) -> None:
        """Drop an extension, or its stand-in. Raises psycopg's error as the server does."""
        stand_in = stand_ins.all_stand_ins().get(name)
        schema = self.schema_of(stand_in) if stand_in and name not in self.names else None
        if stand_in and schema:
            dropping.drop(self.connection, stand_in, schema, cascade=cascade)
        else:
            query = "DROP EXTENSION " + ("IF EXISTS " if if_exists else "") + "{}" + (" CASCADE" if cascade else "")
            self._sql(query, sql.Identifier(name))

    def _make(self, stand_in: StandIn, schema: str) -> None:
        """Run the file of a stand-in, and let the role use its schemas as on the platform."""
        before = self._schemas()
        if stand_in.relocatable:
            self._make_schema(schema)
        self.connection.execute(stand_in.sql(schema).encode())
        self.names.add(stand_in.name)
        for new in self._schemas() - before if self.role else ():
            for what in ("SCHEMA", "ALL TABLES IN SCHEMA", "ALL SEQUENCES IN SCHEMA", "ALL FUNCTIONS IN SCHEMA"):
                self._sql("GRANT ALL ON " + what + " {} TO {}", sql.Identifier(new), sql.Identifier(self.role or ""))

    def _make_schema(self, name: str) -> None:
        """Make a schema for extensions. On Supabase, the roles of the API may use the usual one."""
        if not name or name in self._schemas():
            return
        self._sql("CREATE SCHEMA {}", sql.Identifier(name))
        if self.role:
            self._sql("GRANT ALL ON SCHEMA {} TO {}", sql.Identifier(name), sql.Identifier(self.role))
        if name == USUAL_SCHEMA:
            for (role,) in self.connection.execute(
                "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)", [API_ROLES]
            ):
                self._sql("GRANT USAGE ON SCHEMA {} TO {}", sql.Identifier(name), sql.Identifier(role))

    def _current_schema(self) -> str:
        ((name,),) = self.connection.execute("SELECT current_schema()").fetchall()
        return name or USUAL_SCHEMA

    def _schemas(self) -> set[str]:
        return {name for (name,) in self.connection.execute("SELECT nspname FROM pg_namespace")}

    def _sql(self, query: Any, *parts: sql.Composable) -> None:
        self.connection.execute(sql.SQL(query).format(*parts))


def for_migrations(connection: Connection[Any], role: str | None) -> Callable[[Statement], bool]:
    """What runs a migration's CREATE EXTENSION and DROP EXTENSION as Supabase does: its postgres may do both.

    It returns whether it has run the statement. On another platform it does so only for an extension that the server
    lacks and that has a stand-in; else the role asks, and the server answers. It runs CREATE INDEX for a stand-in's
    type, too.
    """

    def run(statement: Statement) -> bool:
        node = node_of(statement.text)
        if node and node.kind == "index_stmt":
            return indexes.make_plain(connection, node)
        names = _extensions_of(node) if node else set()
        if not node or not names:
            return False
        extensions = Extensions(connection, role)
        if not (names <= OF_SUPABASE if _is_supabase(connection) else all(map(extensions.needs_stand_in, names))):
            return False
        if node.kind == "comment_stmt":
            return all(map(extensions.needs_stand_in, names))  # there is nothing to comment on
        if node.kind == "drop_stmt":
            for name in sorted(names):
                extensions.drop(name, if_exists=node.tree.missing_ok, cascade=cascades(node))
            return True
        outcome = extensions.create(node.tree.extname, string_option(node.tree.options, "schema"))
        if outcome is Outcome.STAND_IN_THERE:
            _already_exists(connection, node.tree.extname, skips=node.tree.if_not_exists)
        return outcome in (Outcome.INSTALLED, Outcome.STAND_IN, Outcome.STAND_IN_THERE)

    return run


def _already_exists(connection: Connection[Any], name: str, *, skips: bool) -> None:
    """What the server says of an extension that exists: a notice, or an error without IF NOT EXISTS."""
    text = f'extension "{name}" already exists' + (", skipping" if skips else "")
    level = sql.SQL("NOTICE" if skips else "EXCEPTION")
    body = sql.SQL("BEGIN RAISE {} USING MESSAGE = {}, ERRCODE = '42710'; END").format(level, sql.Literal(text))
    connection.execute(sql.SQL("DO {}").format(sql.Literal(body.as_string(connection))))


def _extensions_of(node: Node) -> set[str]:
    """The extensions that a statement creates, drops or comments on."""
    if node.kind == "create_extension_stmt":
        return {node.tree.extname}
    if node.kind == "drop_stmt" and object_type(node) == "OBJECT_EXTENSION":
        return {each.string.sval for each in node.tree.objects}
    if node.kind == "comment_stmt" and object_type(node) == "OBJECT_EXTENSION":
        return {node.tree.object.string.sval}
    return set()


def _is_supabase(connection: Connection[Any]) -> bool:
    query = "SELECT to_regprocedure('auth.uid()') IS NOT NULL AND to_regprocedure('auth.role()') IS NOT NULL"
    ((found,),) = connection.execute(query).fetchall()
    return bool(found)
