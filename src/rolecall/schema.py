"""What there is to break: everything that the migrations made, read from the catalog in full."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from psycopg import Connection

from rolecall.catalog import Policy, policies_named
from rolecall.database import Built
from rolecall.migrations import Phase
from rolecall.world import World


class Column(NamedTuple):
    """A column; ``type`` as in CREATE TABLE, ``default`` None where there is none."""

    table: str
    name: str
    type: str
    not_null: bool
    default: str | None


class Constraint(NamedTuple):
    """A CHECK, foreign key or primary key; ``kind`` is pg_constraint's letter."""

    table: str
    name: str
    kind: str
    definition: str


class Index(NamedTuple):
    """An index that belongs to no constraint."""

    table: str
    name: str
    unique: bool
    definition: str


class Function(NamedTuple):
    """A function; ``signature`` is what DROP FUNCTION takes, ``definition`` a whole CREATE OR REPLACE."""

    full_name: str
    signature: str
    language: str
    definition: str
    source: str
    definer: bool
    volatility: str
    strict: bool
    is_trigger: bool


class View(NamedTuple):
    """A view and its query."""

    full_name: str
    query: str
    columns: list[tuple[str, str]]
    options: list[str]  # as WITH (…) takes them


class Trigger(NamedTuple):
    """A trigger; ``function`` is the qualified name of what it calls."""

    table: str
    name: str
    definition: str
    function: str


class Grant(NamedTuple):
    """A privilege that somebody other than the owner holds; ``on`` is what GRANT … ON takes."""

    on: str
    object: str
    role: str
    privilege: str


@dataclass(frozen=True)
class Schema:
    """Everything that can be broken."""

    columns: list[Column] = field(default_factory=list)
    policies: list[Policy] = field(default_factory=list)
    constraints: list[Constraint] = field(default_factory=list)
    indexes: list[Index] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    triggers: list[Trigger] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    buckets: list[str] = field(default_factory=list)
    scripts: list[Path] = field(default_factory=list)

    @property
    def tables(self) -> list[str]:
        """The tables that the migrations made."""
        return list(dict.fromkeys(column.table for column in self.columns))

    def types(self, table: str) -> dict[str, str]:
        """The type of each column of a table."""
        return {column.name: column.type for column in self.columns if column.table == table}


COLUMNS = """
SELECT n.nspname || '.' || c.relname, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)
FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
LEFT JOIN pg_attrdef d ON d.adrelid = attrelid AND d.adnum = attnum
WHERE attrelid = ANY (%(tables)s::regclass[]) AND attnum > 0 AND NOT attisdropped ORDER BY 1, attnum
"""
CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, contype, pg_get_constraintdef(oid)
FROM pg_constraint WHERE conrelid = ANY (%(tables)s::regclass[]) AND contype IN ('c', 'f', 'p', 'u') ORDER BY 1, 2
"""
INDEXES = """
SELECT indrelid::regclass::text, c.relname, indisunique, pg_get_indexdef(indexrelid)
FROM pg_index JOIN pg_class c ON c.oid = indexrelid
WHERE indrelid = ANY (%(tables)s::regclass[])
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND conrelid = indrelid) ORDER BY 1, 2
"""
FUNCTIONS = """
SELECT n.nspname || '.' || proname, p.oid::regprocedure::text, lanname, pg_get_functiondef(p.oid), prosrc,
       prosecdef, provolatile, proisstrict, prorettype = 'trigger'::regtype
FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace JOIN pg_language l ON l.oid = prolang
WHERE n.nspname || '.' || proname = ANY (%(functions)s) ORDER BY 1, 2
"""
VIEWS = """
SELECT n.nspname || '.' || c.relname, rtrim(pg_get_viewdef(c.oid), ';'),
       (SELECT jsonb_agg(jsonb_build_array(attname, format_type(atttypid, atttypmod)) ORDER BY attnum)
        FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0),
       COALESCE(reloptions, '{}')
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE c.oid = ANY (%(views)s::regclass[]) ORDER BY 1
"""
TRIGGERS = """
SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid), tgfoid::regproc::text
FROM pg_trigger WHERE tgrelid = ANY (%(tables)s::regclass[]) AND NOT tgisinternal ORDER BY 1, 2
"""
GRANTS = """
SELECT kind || ' ' || object, object, COALESCE(r.rolname, 'public'), privilege_type
FROM (
  SELECT 'TABLE' AS kind, oid::regclass::text AS object, relacl AS acl, relowner AS owner FROM pg_class
  WHERE oid = ANY (%(tables)s::regclass[] || %(views)s::regclass[])
  UNION ALL
  SELECT 'FUNCTION', p.oid::regprocedure::text, proacl, proowner
  FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE n.nspname || '.' || proname = ANY (%(functions)s)
) AS held CROSS JOIN aclexplode(acl) AS a LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE a.grantee <> owner ORDER BY 1, 3, 4
"""


BUCKETS = "SELECT id FROM storage.buckets WHERE id <> ALL (%(others)s) ORDER BY 1"


def read(connection: Connection[Any], built: Built, world: World, phases: Iterable[Phase]) -> Schema:
    """Read what the migrations made; ``connection`` is to a migrated database with the world in it."""
    given = {
        "tables": [item.full_name for item in built.of_kind("table")],
        "views": [item.full_name for item in built.of_kind("view")],
        "functions": [item.full_name for item in built.of_kind("function", "trigger function")],
        "others": [row["id"] for row in world.rows.get("storage.buckets", {}).values()],
    }

    def rows(query: str) -> list[tuple[Any, ...]]:
        return connection.execute(query.encode(), given).fetchall()

    with connection.transaction():
        # So that every object is written with its schema.
        connection.execute("SELECT set_config('search_path', '', true)")
        (has_buckets,) = rows("SELECT to_regclass('storage.buckets') IS NOT NULL")[0]
        return Schema(
            columns=[Column(*row) for row in rows(COLUMNS)],
            policies=policies_named(connection, [(item.owner, item.name) for item in built.of_kind("policy")]),
            constraints=[Constraint(*row) for row in rows(CONSTRAINTS)],
            indexes=[Index(*row) for row in rows(INDEXES)],
            functions=[Function(*row) for row in rows(FUNCTIONS)],
            views=[View(*row) for row in rows(VIEWS)],
            triggers=[Trigger(*row) for row in rows(TRIGGERS)],
            grants=[Grant(*row) for row in rows(GRANTS)],
            scripts=[path for phase in phases for path in sorted(phase.files)],
            buckets=[bucket for (bucket,) in rows(BUCKETS)] if has_buckets else [],
        )
