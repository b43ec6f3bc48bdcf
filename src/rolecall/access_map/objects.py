"""The tables, views and functions of a project: what an access map is about."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from rolecall.dump.rules import PLATFORM_SCHEMAS
from rolecall.report.access import Kind

RELATIONS = """
SELECT CASE WHEN relkind IN ('v', 'm') THEN 'view' ELSE 'table' END, n.nspname || '.' || relname,
       format('%%I.%%I', n.nspname, relname),
       ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
             ORDER BY attnum),
       ARRAY(SELECT attname::text FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
             WHERE indrelid = c.oid AND indisprimary ORDER BY attnum),
       ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
             AND attgenerated = '' AND attidentity <> 'a' AND pg_column_is_updatable(c.oid, attnum, true)
             ORDER BY attnum),
       c.oid::bigint
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  -- A partition is another way to the rows of its table: its own privileges count, and its own policies.
  AND NOT (relispartition AND relacl IS NULL
           AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attacl IS NOT NULL))
  AND (n.nspname <> ALL (%(platform)s::text[]) OR n.nspname || '.' || relname = ANY (%(named)s::text[]))
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
ORDER BY 2
"""
# An aggregate and a window function read no table by themselves, and nobody calls the function of a trigger.
FUNCTIONS = """
SELECT n.nspname || '.' || proname || '(' || oidvectortypes(proargtypes) || ')',
       has_schema_privilege(current_user, n.oid, 'USAGE') AND has_function_privilege(current_user, p.oid, 'EXECUTE')
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
WHERE prokind IN ('f', 'p') AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname <> ALL (%(platform)s::text[])
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
ORDER BY 1
"""
USED = """
WITH RECURSIVE used (oid) AS (
  SELECT %s::oid
  UNION
  SELECT d.refobjid
  FROM used JOIN pg_rewrite AS r ON r.ev_class = used.oid
    JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
      AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
)
SELECT n.nspname || '.' || c.relname
FROM used JOIN pg_class AS c USING (oid) JOIN pg_namespace AS n ON n.oid = c.relnamespace ORDER BY 1
"""


@dataclass(frozen=True)
class Relation:
    """A table or a view: its quoted name as ``sql``, its primary key, and the columns that a client may set."""

    kind: Kind
    name: str
    sql: str
    columns: Sequence[str]
    key: Sequence[str]
    writable: Sequence[str]
    oid: int


def relations(connection: Connection[Any], named: Collection[str]) -> list[Relation]:
    """The tables and views of the project, and those of the platform that are ``named`` ("schema.name")."""
    params = {"platform": sorted(PLATFORM_SCHEMAS), "named": sorted(named)}
    return [Relation(*row) for row in connection.execute(RELATIONS.encode(), params)]


def functions(connection: Connection[Any]) -> list[tuple[str, bool]]:
    """The functions and procedures of the project, with their arguments, and whether the current role may call each."""
    return connection.execute(FUNCTIONS.encode(), {"platform": sorted(PLATFORM_SCHEMAS)}).fetchall()


def tables_of(connection: Connection[Any], view: Relation) -> list[str]:
    """The tables and views that a view reads, also through other views."""
    return [name for (name,) in connection.execute(USED.encode(), [view.oid])]
