"""The full definitions of everything that the migrations created, read from the catalog."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from psycopg import Connection

from rolecall.access.world import World
from rolecall.catalog.manifest import Manifest
from rolecall.catalog.objects import Policy, identifier, policies_named, qualified
from rolecall.sql.migrations import Phase, Script


class Column(NamedTuple):
    """A column. ``type`` is as in CREATE TABLE; ``default`` is None without one."""

    table: str
    name: str
    type: str
    not_null: bool
    default: str | None


class Constraint(NamedTuple):
    """A CHECK, foreign key or primary key. ``kind`` is the letter of ``pg_constraint.contype``."""

    table: str
    name: str
    kind: str
    definition: str


class Index(NamedTuple):
    """An index of no constraint, or of a UNIQUE constraint."""

    table: str
    name: str
    unique: bool
    definition: str
    of_constraint: bool
    key: list[str]  # the columns of the table's primary key


class Function(NamedTuple):
    """A function or a procedure.

    ``signature`` is SQL, as DROP ROUTINE takes it; ``definition`` is the whole CREATE OR REPLACE.
    """

    full_name: str
    signature: str
    language: str
    definition: str
    source: str
    definer: bool
    volatility: str
    strict: bool
    is_trigger: bool
    is_procedure: bool = False

    @property
    def is_event_trigger(self) -> bool:
        """Whether event triggers call it."""
        return "\n RETURNS event_trigger\n" in self.definition

    @property
    def is_called(self) -> bool:
        """Whether a statement can call it: triggers and event triggers call the others."""
        return not self.is_trigger and not self.is_event_trigger


class View(NamedTuple):
    """A view and its query."""

    full_name: str
    query: str
    columns: list[tuple[str, str]]
    options: list[str]  # as WITH (…) takes them
    invoker: bool


class Trigger(NamedTuple):
    """A trigger. ``function`` is the qualified name of the function that it calls."""

    table: str
    name: str
    definition: str
    function: str


class TableState(NamedTuple):
    """What a table is, each as ALTER TABLE takes it."""

    row_security: str
    forced: str
    storage: str
    identity: str


class Grant(NamedTuple):
    """A privilege of a role other than the owner, on a table, a view or a function.

    ``signature`` is that of a function, and empty for others. ``columns`` is empty for a privilege on the whole table.
    ``option``: the role may grant it to others.
    """

    name: str
    signature: str
    role: str
    privilege: str
    columns: list[str]
    option: bool = False

    @property
    def kind(self) -> str:
        """``TABLE`` (also of a view) or ``FUNCTION``."""
        return "FUNCTION" if self.signature else "TABLE"

    @property
    def on(self) -> str:
        """The object, as GRANT … ON takes it."""
        return f"ROUTINE {self.signature}" if self.signature else f"TABLE {qualified(self.name)}"  # or a procedure

    @property
    def object(self) -> str:
        """The object, for messages."""
        return self.signature or self.name

    @property
    def what(self) -> str:
        """The privilege and its columns, for messages."""
        return f"{self.privilege} ({', '.join(self.columns)})" if self.columns else self.privilege

    @property
    def sql(self) -> str:
        """The privilege and its columns, as GRANT takes them."""
        return f"{self.privilege} ({', '.join(map(identifier, self.columns))})" if self.columns else self.privilege


class Bucket(NamedTuple):
    """A storage bucket. ``limit`` is in bytes, ``types`` are MIME types; each is None without a limit."""

    id: str
    limit: int | None
    types: list[str] | None


@dataclass(frozen=True)
class Schema:
    """Everything that a mutant can break.

    Tables, views and functions have names as in a grid ("schema.name"), without quotes:
    :func:`rolecall.catalog.objects.qualified` makes SQL of them.
    """

    columns: list[Column] = field(default_factory=list)
    policies: list[Policy] = field(default_factory=list)
    constraints: list[Constraint] = field(default_factory=list)
    indexes: list[Index] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    triggers: list[Trigger] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    buckets: list[Bucket] = field(default_factory=list)
    scripts: list[Script] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)  # of the personas, policies and grants
    states: dict[str, TableState] = field(default_factory=dict)  # by table
    held: set[tuple[str, str, str]] = field(default_factory=set)  # what, role and privilege, also those of other roles
    usages: set[tuple[str, str]] = field(default_factory=set)  # the schemas that each of these roles may enter
    reached: set[str] = field(default_factory=set)  # the tables whose policies bind one of these roles
    types: dict[str, dict[str, str]] = field(default_factory=dict)  # of each column, by table or view

    @property
    def tables(self) -> list[str]:
        """The tables that the migrations created."""
        return list(dict.fromkeys(column.table for column in self.columns))

    @property
    def forced(self) -> set[str]:
        """The tables whose policies apply to their owner too."""
        return {table for table, state in self.states.items() if not state.forced.startswith("NO")}

    def grantees(self, name: str) -> tuple[str, ...]:
        """The roles, or ``public``, that hold a privilege on a table, view or function."""
        return tuple(dict.fromkeys(grant.role for grant in self.grants if grant.name == name))


COLUMNS = """
SELECT n.nspname || '.' || c.relname, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)
FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
LEFT JOIN pg_attrdef d ON d.adrelid = attrelid AND d.adnum = attnum
WHERE attrelid = ANY (%(tables)s::regclass[]) AND attnum > 0 AND NOT attisdropped ORDER BY 1, attnum
"""
TYPES = """
SELECT n.nspname || '.' || c.relname, jsonb_object_agg(attname, format_type(atttypid, NULL) ORDER BY attnum)
FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND attnum > 0 AND NOT attisdropped
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
GROUP BY 1
"""
# A constraint that is NOT ENFORCED refuses nothing.
CONSTRAINTS = """
SELECT n.nspname || '.' || c.relname, conname, contype, pg_get_constraintdef(o.oid)
FROM pg_constraint o JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace
WHERE (conrelid, conname) IN (SELECT * FROM unnest(%(constrained)s::regclass[], %(constraints)s::text[]))
  AND contype IN ('c', 'f', 'p', 'u') AND pg_get_constraintdef(o.oid) !~ ' NOT ENFORCED$' ORDER BY 1, 2
"""
INDEXES = """
SELECT n.nspname || '.' || t.relname, c.relname, indisunique, pg_get_indexdef(indexrelid), o.oid IS NOT NULL,
       array(SELECT attname::text FROM pg_index p JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
             WHERE p.indrelid = i.indrelid AND indisprimary ORDER BY attnum)
FROM pg_index i JOIN pg_class c ON c.oid = indexrelid
JOIN pg_class t ON t.oid = indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
LEFT JOIN pg_constraint o ON conindid = indexrelid AND conrelid = indrelid
WHERE (indrelid, c.relname) IN (SELECT * FROM unnest(%(indexed)s::regclass[], %(indexes)s::text[]))
  AND COALESCE(contype, 'u') = 'u' ORDER BY 1, 2
"""
# An aggregate has no definition that could be changed.
FUNCTIONS = """
SELECT n.nspname || '.' || proname, p.oid::regprocedure::text, lanname, pg_get_functiondef(p.oid), prosrc,
       prosecdef, provolatile, proisstrict, prorettype = 'trigger'::regtype, prokind = 'p'
FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace JOIN pg_language l ON l.oid = prolang
WHERE n.nspname || '.' || proname = ANY (%(functions)s) AND prokind <> 'a' ORDER BY 1, 2
"""
VIEWS = """
SELECT n.nspname || '.' || c.relname, rtrim(pg_get_viewdef(c.oid), ';'),
       (SELECT jsonb_agg(jsonb_build_array(attname, format_type(atttypid, atttypmod)) ORDER BY attnum)
        FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0),
       COALESCE(reloptions, '{}'),
       EXISTS (SELECT FROM pg_options_to_table(reloptions)
               WHERE option_name = 'security_invoker' AND option_value::boolean)
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE c.oid = ANY (%(views)s::regclass[]) ORDER BY 1
"""
TRIGGERS = """
SELECT n.nspname || '.' || c.relname, tgname, pg_get_triggerdef(t.oid), pn.nspname || '.' || proname
FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid JOIN pg_namespace n ON n.oid = relnamespace
JOIN pg_proc p ON p.oid = tgfoid JOIN pg_namespace pn ON pn.oid = pronamespace
WHERE (tgrelid, tgname) IN (SELECT * FROM unnest(%(triggered)s::regclass[], %(triggers)s::text[])) ORDER BY 1, 2
"""
# An object without any GRANT or REVOKE has no ACL: acldefault() has its privileges, e.g. EXECUTE for PUBLIC.
# Trigger functions are left out: no role calls them itself.
GRANTS = """
SELECT name, signature, COALESCE(r.rolname, 'public'), privilege_type,
       COALESCE(array_agg(attname::text ORDER BY attnum) FILTER (WHERE attname IS NOT NULL), '{}'),
       bool_or(is_grantable)
FROM (
  SELECT n.nspname || '.' || relname AS name, '' AS signature, NULL AS attname, NULL AS attnum,
         COALESCE(relacl, acldefault('r', relowner)) AS acl, relowner AS owner
  FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
  WHERE c.oid = ANY (%(tables)s::regclass[] || %(views)s::regclass[])
  UNION ALL
  SELECT n.nspname || '.' || relname, '', attname, attnum, attacl, relowner
  FROM pg_attribute JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
  WHERE attrelid = ANY (%(tables)s::regclass[] || %(views)s::regclass[]) AND attacl IS NOT NULL
  UNION ALL
  SELECT n.nspname || '.' || proname, p.oid::regprocedure::text, NULL, NULL,
         COALESCE(proacl, acldefault('f', proowner)), proowner
  FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
  WHERE n.nspname || '.' || proname = ANY (%(functions)s)
    AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
) AS acls CROSS JOIN aclexplode(acl) AS a LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE a.grantee <> owner GROUP BY 1, 2, 3, 4, attname IS NULL ORDER BY 1, 2, 3, 4
"""
# What each role holds: also as the owner, and what it has from other roles.
HELD = """
SELECT n.nspname || '.' || relname, '', rolname, privilege, '{}'::text[]
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace CROSS JOIN pg_roles AS r
CROSS JOIN unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS privilege
WHERE c.oid = ANY (%(tables)s::regclass[] || %(views)s::regclass[]) AND rolname = ANY (%(roles)s)
  AND has_table_privilege(r.oid, c.oid, privilege)
UNION ALL
SELECT n.nspname || '.' || proname, p.oid::regprocedure::text, rolname, 'EXECUTE', '{}'
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace CROSS JOIN pg_roles AS r
WHERE n.nspname || '.' || proname = ANY (%(functions)s) AND rolname = ANY (%(roles)s)
  AND has_function_privilege(r.oid, p.oid, 'EXECUTE')
"""
STATES = """
SELECT n.nspname || '.' || c.relname,
       CASE WHEN relrowsecurity THEN 'ENABLE' ELSE 'DISABLE' END || ' ROW LEVEL SECURITY',
       CASE WHEN relforcerowsecurity THEN 'FORCE' ELSE 'NO FORCE' END || ' ROW LEVEL SECURITY',
       CASE WHEN relpersistence = 'u' THEN 'SET UNLOGGED' ELSE 'SET LOGGED' END,
       'REPLICA IDENTITY ' || CASE relreplident WHEN 'n' THEN 'NOTHING' WHEN 'f' THEN 'FULL' ELSE 'DEFAULT' END
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = ANY (%(tables)s::regclass[])
"""
USAGES = """
SELECT nspname, rolname FROM pg_namespace AS n, pg_roles AS r
WHERE rolname = ANY (%s) AND has_schema_privilege(r.oid, n.oid, 'USAGE')
"""
# Privileges may come from another role. A statement needs no USAGE on the schema of a table to which it leads by way of
# a view, a policy or a function whose body the catalog has parsed.
REACHED = """
SELECT DISTINCT n.nspname || '.' || c.relname
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace CROSS JOIN pg_roles AS r
WHERE c.oid = ANY (%(tables)s::regclass[]) AND rolname = ANY (%(roles)s)
  AND NOT rolsuper AND NOT pg_has_role(r.oid, relowner, 'USAGE')
  AND (has_table_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE')
       OR has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE'))
  AND (has_schema_privilege(r.oid, n.oid, 'USAGE') OR EXISTS (
    SELECT FROM pg_depend AS d
    LEFT JOIN pg_policy AS p ON classid = 'pg_policy'::regclass AND p.oid = objid AND polrelid <> c.oid
    LEFT JOIN pg_proc AS f ON classid = 'pg_proc'::regclass AND f.oid = objid AND NOT prosecdef
    LEFT JOIN pg_rewrite AS w ON classid = 'pg_rewrite'::regclass AND w.oid = objid
    LEFT JOIN pg_class AS v ON v.oid = ev_class AND v.oid <> c.oid AND EXISTS (
      SELECT FROM pg_options_to_table(v.reloptions) WHERE option_name = 'security_invoker' AND option_value::boolean)
    WHERE refclassid = 'pg_class'::regclass AND refobjid = c.oid AND coalesce(p.oid, f.oid, v.oid) IS NOT NULL))
"""
BUCKETS = """
SELECT id, file_size_limit, allowed_mime_types FROM storage.buckets WHERE id <> ALL (%(world_buckets)s) ORDER BY 1
"""


def read(connection: Connection[Any], manifest: Manifest, world: World, phases: Iterable[Phase]) -> Schema:
    """Read what the migrations created. ``connection`` is to a migrated database with the world loaded."""
    constraints, triggers = manifest.of_kind("constraint"), manifest.of_kind("trigger")
    indexes = manifest.of_kind("index", "unique", "constraint")  # the index of a UNIQUE constraint has its name
    params = {
        "tables": [qualified(item.full_name) for item in manifest.of_kind("table")],
        "views": [qualified(item.full_name) for item in manifest.of_kind("view")],
        "functions": [item.full_name for item in manifest.of_kind("function", "trigger function")],
        "constrained": [qualified(item.owner) for item in constraints],
        "constraints": [item.name for item in constraints],
        "indexed": [qualified(item.owner) for item in indexes],
        "indexes": [item.name for item in indexes],
        "triggered": [qualified(item.owner) for item in triggers],
        "triggers": [item.name for item in triggers],
        "world_buckets": [row["id"] for row in world.rows.get("storage.buckets", {}).values()],
    }

    def rows(query: str) -> list[tuple[Any, ...]]:
        return connection.execute(query.encode(), params).fetchall()

    with connection.transaction():
        # With an empty search_path, every name has its schema.
        connection.execute("SELECT set_config('search_path', '', true)")
        (has_buckets,) = rows("SELECT to_regclass('storage.buckets') IS NOT NULL")[0]
        policies = policies_named(connection, [(item.owner, item.name) for item in manifest.of_kind("policy")])
        grants = [Grant(*row) for row in rows(GRANTS)]
        roles = params["roles"] = _roles(world, policies, grants)
        return Schema(
            columns=[Column(*row) for row in rows(COLUMNS)],
            policies=policies,
            constraints=[Constraint(*row) for row in rows(CONSTRAINTS)],
            indexes=[Index(*row) for row in rows(INDEXES)],
            functions=[Function(*row) for row in rows(FUNCTIONS)],
            views=[View(*row) for row in rows(VIEWS)],
            triggers=[Trigger(*row) for row in rows(TRIGGERS)],
            grants=grants,
            scripts=[script for phase in phases for script in sorted(phase.tested, key=lambda script: script.path)],
            buckets=[Bucket(*row) for row in rows(BUCKETS)] if has_buckets else [],
            roles=roles,
            states={name: TableState(*state) for name, *state in rows(STATES)},
            held={(grant.on, grant.role, grant.privilege) for grant in (Grant(*row) for row in rows(HELD))},
            usages=set(connection.execute(USAGES, [roles]).fetchall()),
            reached={name for (name,) in rows(REACHED)},
            types=dict(rows(TYPES)),
        )


def _roles(world: World, policies: Iterable[Policy], grants: Iterable[Grant]) -> list[str]:
    personas = [persona.role for persona in world.personas.values()]
    grantees = [grant.role for grant in grants]
    policy_roles = [role for policy in policies for role in policy.roles]
    return [role for role in dict.fromkeys(personas + grantees + policy_roles) if role != "public"]
