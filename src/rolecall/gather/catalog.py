"""What the catalog says of the tables, views and functions of a report: who holds what, and what they consist of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection

from rolecall.catalog import objects
from rolecall.catalog.objects import Policy
from rolecall.report.report import ReportedColumn

ByRole = Mapping[str, Sequence[str]]

# A privilege is of no use without USAGE on the schema. A role that a persona has and the server lacks holds nothing.
RELATIONS = """
SELECT t.name, relrowsecurity, CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid, true) ELSE '' END,
  (SELECT COALESCE(jsonb_object_agg(rolname, held), '{}') FROM (
     SELECT rolname, jsonb_agg(p ORDER BY place) AS held
     FROM pg_roles AS r, unnest(%(privileges)s::text[]) WITH ORDINALITY AS u (p, place)
     WHERE rolname = ANY (%(roles)s) AND has_schema_privilege(r.oid, relnamespace, 'USAGE')
       AND has_table_privilege(r.oid, c.oid, p)
     GROUP BY 1) AS by_role),
  ARRAY(SELECT pg_get_triggerdef(g.oid, true) FROM pg_trigger AS g WHERE tgrelid = c.oid AND NOT tgisinternal
        ORDER BY tgname)
FROM unnest(%(names)s::text[], %(sql)s::text[]) AS t (name, sql) JOIN pg_class AS c ON c.oid = t.sql::regclass
"""
COLUMNS = """
SELECT t.name, attname, format_type(atttypid, atttypmod),
  ARRAY(SELECT role FROM unnest(%(roles)s::text[]) AS role WHERE held(role, 'SELECT')),
  ARRAY(SELECT role FROM unnest(%(roles)s::text[]) AS role WHERE held(role, 'INSERT')),
  ARRAY(SELECT role FROM unnest(%(roles)s::text[]) AS role WHERE held(role, 'UPDATE'))
FROM unnest(%(names)s::text[], %(sql)s::text[]) AS t (name, sql) JOIN pg_class AS c ON c.oid = t.sql::regclass
JOIN pg_attribute AS a ON attrelid = c.oid
WHERE attnum > 0 AND NOT attisdropped ORDER BY t.name, attnum
""".replace(
    "held(role, ",
    "has_schema_privilege(role, relnamespace, 'USAGE') AND has_column_privilege(role, attrelid, attnum, ",
)
NAME = "n.nspname || '.' || proname || '(' || oidvectortypes(proargtypes) || ')'"
FUNCTIONS = f"""
SELECT {NAME}, p.oid::regprocedure::text, pg_get_functiondef(p.oid),
  (SELECT COALESCE(jsonb_object_agg(rolname, '["EXECUTE"]'::jsonb), '{{}}') FROM pg_roles AS r
   WHERE rolname = ANY (%(roles)s) AND has_schema_privilege(r.oid, n.oid, 'USAGE')
     AND has_function_privilege(r.oid, p.oid, 'EXECUTE'))
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
WHERE prokind IN ('f', 'p') AND {NAME} = ANY (%(names)s)
"""
PRIVILEGES = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"]
MEMBERS = """
SELECT role, policy_role
FROM unnest(%s::text[]) AS role JOIN pg_roles ON rolname = role, unnest(%s::text[]) AS policy_role
WHERE NOT (rolsuper OR rolbypassrls) AND (policy_role = 'public' OR pg_has_role(role, policy_role, 'usage'))
"""


@dataclass(frozen=True)
class Facts:
    """What the catalog says of one object. ``item`` is its name as SQL; that of a function has its arguments."""

    item: str
    privileges: ByRole
    row_security: bool = False
    definition: str = ""
    triggers: Sequence[str] = ()
    columns: Sequence[ReportedColumn] = ()
    policies: Sequence[Policy] = field(default=())


def relations(connection: Connection[Any], sql: Mapping[str, str], roles: Collection[str]) -> dict[str, Facts]:
    """The facts about tables and views: ``sql`` has the quoted name of each."""
    existing = _existing(connection, roles)
    params = {"names": list(sql), "sql": list(sql.values()), "roles": existing, "privileges": PRIVILEGES}
    columns: dict[str, list[ReportedColumn]] = {}
    for name, *column in connection.execute(COLUMNS.encode(), params):
        columns.setdefault(name, []).append(ReportedColumn(*column))
    policies: dict[str, list[Policy]] = {}
    for policy in _policies(connection, sql):
        policies.setdefault(policy.table, []).append(policy)
    return {
        name: Facts(
            sql[name],
            _of_all(roles, held),
            row_security,
            definition,
            triggers,
            columns.get(name, ()),
            policies.get(name, ()),
        )
        for name, row_security, definition, held, triggers in connection.execute(RELATIONS.encode(), params)
    }


def functions(connection: Connection[Any], names: Collection[str], roles: Collection[str]) -> dict[str, Facts]:
    """The facts about functions, by "schema.name(types)"."""
    params = {"names": list(names), "roles": list(roles)}
    rows = connection.execute(FUNCTIONS.encode(), params)
    return {name: Facts(item, _of_all(roles, held), definition=text) for name, item, text, held in rows}


def members(connection: Connection[Any], roles: Collection[str], policy_roles: Collection[str]) -> set[tuple[str, str]]:
    """The pairs of a role and a role of policies that applies to it. A role that bypasses policies is in none."""
    return set(connection.execute(MEMBERS.encode(), [list(roles), list(policy_roles)]).fetchall())


def _policies(connection: Connection[Any], tables: Collection[str]) -> list[Policy]:
    found = [item for item in objects.objects(connection) if item.kind == "policy" and item.owner in tables]
    return objects.policies_named(connection, [(item.owner, item.name) for item in found])


def _existing(connection: Connection[Any], roles: Collection[str]) -> list[str]:
    rows = connection.execute("SELECT rolname::text FROM pg_roles WHERE rolname = ANY (%s)", [list(roles)]).fetchall()
    existing = {name for (name,) in rows}
    return [role for role in roles if role in existing]


def _of_all(roles: Collection[str], held: ByRole) -> ByRole:
    return {role: held.get(role, []) for role in roles}
