"""What the catalog says about a table or view, as far as it decides about access."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from psycopg import Connection

from rolecall.catalog.objects import qualified

RELATION = """
SELECT c.oid::int8, c.relkind::text, c.relrowsecurity, c.relforcerowsecurity, o.rolname::text,
       o.rolsuper OR o.rolbypassrls,
       COALESCE((SELECT option_value::boolean FROM pg_options_to_table(c.reloptions)
                 WHERE option_name = 'security_invoker'), false)
FROM pg_class AS c JOIN pg_roles AS o ON o.oid = c.relowner WHERE c.oid = %s::regclass
"""
# The tables that a view reads, also through other views, without those of the system.
BELOW = """
WITH RECURSIVE below (oid, view) AS (
  SELECT %(oid)s::oid, true
  UNION
  SELECT d.refobjid, c.relkind IN ('v', 'm')
  FROM below AS b JOIN pg_rewrite AS w ON w.ev_class = b.oid AND b.view
  JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass
  JOIN pg_class AS c ON c.oid = d.refobjid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
)
SELECT DISTINCT n.nspname || '.' || c.relname
FROM below AS b JOIN pg_class AS c USING (oid) JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1
"""
ROLE = """
SELECT rolsuper, rolbypassrls, pg_has_role(oid, (SELECT relowner FROM pg_class WHERE oid = %s::regclass), 'USAGE')
FROM pg_roles WHERE rolname = %s
"""
# Each privilege that a role has on a table or view, whose grant it is, and for which columns (none: all).
HELD = """
SELECT a.privilege_type, COALESCE(g.rolname, 'PUBLIC'),
       COALESCE(array_agg(attname::text ORDER BY attnum) FILTER (WHERE attname IS NOT NULL), '{}')
FROM (
  SELECT NULL AS attname, NULL AS attnum, COALESCE(relacl, acldefault('r', relowner)) AS acl
  FROM pg_class WHERE oid = %(relation)s::regclass
  UNION ALL
  SELECT attname, attnum, attacl FROM pg_attribute WHERE attrelid = %(relation)s::regclass AND attacl IS NOT NULL
) AS acls CROSS JOIN aclexplode(acl) AS a LEFT JOIN pg_roles AS g ON g.oid = a.grantee
WHERE a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
  AND CASE WHEN a.grantee = 0 THEN true ELSE pg_has_role(%(role)s, a.grantee, 'USAGE') END
GROUP BY 1, 2, attname IS NULL ORDER BY count(attname) > 0, 2, 1
"""
TRIGGERS = """
SELECT tgname::text, p.proname::text, n.nspname || '.' || p.proname, tgtype & 2 = 2, tgtype & 64 = 64,
       ARRAY(SELECT command FROM (VALUES (4, 'insert'), (8, 'delete'), (16, 'update')) AS event (bit, command)
             WHERE tgtype & bit = bit), tgenabled <> 'D'
FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = tgfoid JOIN pg_namespace AS n ON n.oid = pronamespace
WHERE tgrelid = %s::regclass AND NOT tgisinternal ORDER BY tgname
"""


class Held(NamedTuple):
    """A privilege that a role has, because it was granted to ``grantee``. Without ``columns``: on the whole table."""

    privilege: str
    grantee: str
    columns: Sequence[str]

    def __str__(self) -> str:
        return f"{self.privilege} ({', '.join(self.columns)})" if self.columns else self.privilege


class Trigger(NamedTuple):
    """A trigger, and the function that it calls (its own name, and with its schema)."""

    name: str
    function_name: str
    function: str
    before: bool
    instead: bool
    commands: Sequence[str]
    enabled: bool


class Standing(NamedTuple):
    """Why row-level security may not bind a role: it is a superuser, has BYPASSRLS, or owns the table."""

    superuser: bool
    bypasses: bool
    owns: bool


@dataclass(frozen=True)
class Relation:
    """A table or view. ``below`` are the tables that a view reads."""

    name: str
    oid: int
    letter: str  # of pg_class.relkind
    row_security: bool
    forced: bool
    owner: str
    owner_bypasses: bool
    invoker: bool
    below: Sequence[str] = ()

    @property
    def is_table(self) -> bool:
        """Whether it has rows of its own, and so policies and triggers for rows."""
        return self.letter in ("r", "p")

    @property
    def kind(self) -> str:
        """The kind, in a word."""
        return {"v": "view", "m": "materialized view", "f": "foreign table"}.get(self.letter, "table")


def read_relation(connection: Connection[Any], name: str) -> Relation:
    """What the catalog says about a table or view ("schema.name"), which must exist."""
    (row,) = connection.execute(RELATION, [qualified(name)]).fetchall()
    relation = Relation(name, *row[:7])
    below = () if relation.is_table else [each for (each,) in connection.execute(BELOW, {"oid": relation.oid})]
    return replace(relation, below=below)


def standing(connection: Connection[Any], name: str, role: str) -> Standing:
    """Whether row-level security of a table binds a role."""
    (row,) = connection.execute(ROLE, [qualified(name), role]).fetchall()
    return Standing(*row)


def held(connection: Connection[Any], name: str, role: str) -> list[Held]:
    """The privileges of a role on a table or view, each with the grant that it comes from."""
    return [Held(*row) for row in connection.execute(HELD, {"relation": qualified(name), "role": role})]


def enters(connection: Connection[Any], name: str, role: str) -> bool:
    """Whether a role has USAGE on the schema of a table, view or function."""
    query = "SELECT has_schema_privilege(%s, %s, 'USAGE')"
    return connection.execute(query, [role, name.split(".", 1)[0]]).fetchone() == (True,)


def triggers(connection: Connection[Any], name: str) -> list[Trigger]:
    """The triggers of a table or view, in the order in which they fire."""
    return [Trigger(*row) for row in connection.execute(TRIGGERS, [qualified(name)])]
