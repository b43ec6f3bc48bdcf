"""The objects in a database's catalog, by name: tables, policies, constraints, functions, views."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from psycopg import Connection, sql


class Object(NamedTuple):
    """One object of the catalog.

    ``kind`` is table, policy, constraint, not null, unique, index, function, view, trigger, or usage (a
    role's USAGE on a schema, by the role's name); ``owner`` is the table, or the schema of an object without
    a table; ``detail`` is a policy's command, a function's arguments, a constraint's type, or
    "rls" for a table with row-level security.
    """

    kind: str
    owner: str
    name: str
    detail: str

    @property
    def full_name(self) -> str:
        return f"{self.owner}.{self.name}"

    @property
    def names(self) -> tuple[str, ...]:
        """The qualified name; of a function also with the arguments."""
        return (self.full_name, f"{self.full_name}({self.detail})") if self.kind == "function" else (self.full_name,)


# Without the objects of extensions: nobody tests these.
OBJECTS = """
WITH of_an_extension AS (
  SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), relation AS (
  SELECT c.oid, c.relkind, c.relrowsecurity, n.nspname::text AS schema, c.relname AS name,
         n.nspname || '.' || c.relname AS full_name
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'p', 'v', 'm')
    AND ('pg_class'::regclass, c.oid) NOT IN (SELECT classid, objid FROM of_an_extension)
)
SELECT CASE WHEN relkind IN ('v', 'm') THEN 'view' ELSE 'table' END, schema, name,
       CASE WHEN relrowsecurity THEN 'rls' ELSE '' END
FROM relation
UNION ALL
SELECT 'foreign table', nspname, relname, '' FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND relkind = 'f'
  AND ('pg_class'::regclass, c.oid) NOT IN (SELECT classid, objid FROM of_an_extension)
UNION ALL
SELECT 'policy', full_name, polname,
       CASE polcmd WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update'
                   WHEN 'd' THEN 'delete' ELSE 'all' END
FROM pg_policy p JOIN relation r ON r.oid = p.polrelid
UNION ALL
SELECT 'constraint', full_name, conname,
       CASE contype WHEN 'c' THEN 'check' WHEN 'f' THEN 'foreign key' WHEN 'p' THEN 'primary key'
                    WHEN 'u' THEN 'unique' ELSE 'exclusion' END
FROM pg_constraint c JOIN relation r ON r.oid = c.conrelid
WHERE contype IN ('c', 'f', 'p', 'u', 'x') AND pg_get_constraintdef(c.oid) !~ ' NOT ENFORCED$'
UNION ALL
SELECT 'not null', full_name, attname, ''
FROM pg_attribute a JOIN relation r ON r.oid = a.attrelid
WHERE attnum > 0 AND attnotnull AND NOT attisdropped AND relkind IN ('r', 'p')
UNION ALL
SELECT CASE WHEN i.indisunique THEN 'unique' ELSE 'index' END, full_name, c.relname, ''
FROM pg_index i JOIN relation r ON r.oid = i.indrelid JOIN pg_class c ON c.oid = i.indexrelid
WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid AND conrelid = i.indrelid)
UNION ALL
SELECT 'trigger', full_name, tgname, ''
FROM pg_trigger t JOIN relation r ON r.oid = t.tgrelid
WHERE NOT tgisinternal
UNION ALL
SELECT CASE WHEN prorettype IN ('trigger'::regtype, 'event_trigger'::regtype) THEN 'trigger function'
            ELSE 'function' END,
       nspname, proname, pg_get_function_identity_arguments(p.oid)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
  AND ('pg_proc'::regclass, p.oid) NOT IN (SELECT classid, objid FROM of_an_extension)
UNION ALL
SELECT 'usage', nspname, COALESCE(rolname, 'public'), ''
FROM pg_namespace CROSS JOIN aclexplode(nspacl) AS a LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND privilege_type = 'USAGE' AND a.grantee <> nspowner
ORDER BY 1, 2, 3, 4
"""


def objects(connection: Connection[Any]) -> list[Object]:
    """All objects outside the system schemas, sorted."""
    return [Object(*row) for row in connection.execute(OBJECTS)]


def added(before: Iterable[Object], after: Iterable[Object]) -> list[Object]:
    """The objects in ``after`` that are not in ``before``."""
    existing = set(before)
    return [item for item in after if item not in existing]


class Policy(NamedTuple):
    """A policy as the catalog shows it.

    ``command`` is select, insert, update, delete or all; ``using`` and ``check`` are None without such a clause.
    """

    table: str
    name: str
    permissive: bool
    command: str
    roles: list[str]
    using: str | None
    check: str | None

    def __str__(self) -> str:
        kind = "permissive" if self.permissive else "RESTRICTIVE"
        text = f'"{self.name}" ({kind}, for {self.command}, to {", ".join(self.roles)})'
        text += f" using {self.using}" if self.using else ""
        return text + (f" with check {self.check}" if self.check else "")

    def create(self) -> str:
        """The statement that creates it."""
        parts = [
            f"CREATE POLICY {identifier(self.name)} ON {qualified(self.table)}",
            f"AS {'PERMISSIVE' if self.permissive else 'RESTRICTIVE'} FOR {self.command.upper()}",
            f"TO {', '.join(map(grantee, self.roles))}",
        ]
        parts += [f"USING ({self.using})"] if self.using is not None else []
        parts += [f"WITH CHECK ({self.check})"] if self.check is not None else []
        return " ".join(parts)

    def drop(self) -> str:
        """The statement that drops it."""
        return f"DROP POLICY {identifier(self.name)} ON {qualified(self.table)}"


POLICIES = """
SELECT schemaname || '.' || tablename, policyname, permissive = 'PERMISSIVE', lower(cmd), roles::text[],
       qual, with_check
FROM pg_policies
"""


def policies(connection: Connection[Any], table: str, command: str, role: str) -> list[Policy]:
    """The policies of a table that apply to a command ("select" …) of a role."""
    rows = connection.execute(
        POLICIES.encode()
        + b"""
        WHERE format('%%I.%%I', schemaname, tablename)::regclass = %(table)s::regclass
          AND lower(cmd) IN ('all', %(command)s)
          AND EXISTS (SELECT FROM unnest(roles) AS r (name)
                      WHERE r.name = 'public' OR pg_has_role(%(role)s, r.name, 'usage'))
        ORDER BY permissive, policyname
        """,
        {"table": qualified(table), "command": command, "role": role},
    )
    return [Policy(*row) for row in rows]


def policies_named(connection: Connection[Any], names: Collection[tuple[str, str]]) -> list[Policy]:
    """The policies of these tables and names, sorted."""
    tables, policies = map(list, zip(*names, strict=True)) if names else ([], [])
    rows = connection.execute(
        POLICIES.encode()
        + b"""
        WHERE (schemaname || '.' || tablename, policyname::text) IN (SELECT * FROM unnest(%s::text[], %s::text[]))
        ORDER BY 1, 2
        """,
        [tables, policies],
    )
    return [Policy(*row) for row in rows]


def privileges(connection: Connection[Any], table: str, role: str) -> list[str]:
    """The table privileges of a role, e.g. ``SELECT``: its own, PUBLIC's, and those of roles that it is a member of."""
    names = ["SELECT", "INSERT", "UPDATE", "DELETE"]
    row = connection.execute(
        "SELECT array(SELECT p FROM unnest(%s::text[]) p WHERE has_table_privilege(%s, %s::regclass, p))",
        [names, role, qualified(table)],
    ).fetchone()
    return list(row[0]) if row else []


def tables_with_column_grants(connection: Connection[Any]) -> list[str]:
    """The tables with a privilege on single columns."""
    rows = connection.execute(
        """
        SELECT DISTINCT nspname || '.' || relname
        FROM pg_attribute JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
        WHERE attacl IS NOT NULL AND nspname !~ '^pg_' AND nspname <> 'information_schema'
        """
    )
    return [name for (name,) in rows]


def identifier(text: str) -> str:
    """A name as a quoted SQL identifier."""
    return sql.Identifier(text).as_string()


def qualified(table: str) -> str:
    """A table ("schema.name") as SQL, with each part quoted."""
    return sql.Identifier(*table.split(".", 1)).as_string()


def grantee(role: str) -> str:
    """A role for TO and FROM. PUBLIC is a keyword, which must not be quoted."""
    return "PUBLIC" if role == "public" else identifier(role)
