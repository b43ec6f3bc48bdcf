"""What a role may reach although row-level security does not protect it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import astuple, dataclass, field
from typing import Any

from psycopg import Connection

ByName = dict[str, list[str]]  # the roles, by the qualified name of what they may use

# Roles that bypass row-level security need none.
MAY_ENTER = """
  nspname !~ '^pg_' AND nspname <> 'information_schema'
  AND NOT rolsuper AND NOT rolbypassrls AND has_schema_privilege(r.oid, n.oid, 'USAGE')
"""
# As a member of the owner a role may do what the owner may do, but the policies bind it, which may not bind the owner.
IS_LIKE_OWNER = """
  (pg_has_role(r.oid, {owner}, 'USAGE')
   AND NOT EXISTS (SELECT FROM pg_roles AS o WHERE o.oid = {owner} AND (o.rolsuper OR o.rolbypassrls)))
"""
RELATIONS = f"""
SELECT n.nspname || '.' || c.relname, array_agg(r.rolname::text ORDER BY r.rolname)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace CROSS JOIN pg_roles AS r
WHERE CASE WHEN relkind IN ('m', 'f') THEN true
        -- Through a view of its own, a role may do what it may do anyway.
        WHEN relkind = 'v' THEN NOT {IS_LIKE_OWNER.format(owner="c.relowner")} AND NOT EXISTS (
          SELECT FROM pg_options_to_table(reloptions) WHERE option_name = 'security_invoker' AND option_value::boolean)
        ELSE relkind IN ('r', 'p') AND NOT relrowsecurity END
  AND {MAY_ENTER}
  AND (has_table_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE')
       OR has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE'))
GROUP BY 1
"""
# A function that shares its name has its arguments, too. A role whose policies call the function needs EXECUTE, and the
# grids of these tables try it. No role calls the function of an event trigger itself; those of triggers are none of the
# objects that may be open.
FUNCTIONS = f"""
SELECT n.nspname || '.' || p.proname
         || CASE WHEN EXISTS (
              SELECT FROM pg_proc AS o WHERE (o.pronamespace, o.proname) = (n.oid, p.proname) AND o.oid <> p.oid)
              THEN format('(%s)', pg_get_function_identity_arguments(p.oid)) ELSE '' END,
       array_agg(DISTINCT r.rolname::text)
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace CROSS JOIN pg_roles AS r
WHERE prosecdef AND prorettype <> 'event_trigger'::regtype
  AND {MAY_ENTER} AND NOT {IS_LIKE_OWNER.format(owner="proowner")} AND has_function_privilege(r.oid, p.oid, 'EXECUTE')
  AND NOT EXISTS (
    SELECT FROM pg_depend JOIN pg_policy ON classid = 'pg_policy'::regclass AND objid = pg_policy.oid
    WHERE refclassid = 'pg_proc'::regclass AND refobjid = p.oid
      AND EXISTS (SELECT FROM unnest(polroles) AS role WHERE role = 0 OR pg_has_role(r.oid, role, 'USAGE')))
GROUP BY 1
"""
TRUNCATES = f"""
SELECT n.nspname || '.' || c.relname, r.rolname::text,
       (SELECT bool_and(has_table_privilege(r.oid, c.oid, name)) FROM unnest(%s::text[]) AS name)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace CROSS JOIN pg_roles AS r
WHERE relkind IN ('r', 'p') AND {MAY_ENTER} AND NOT pg_has_role(r.oid, c.relowner, 'USAGE')
  AND has_table_privilege(r.oid, c.oid, 'TRUNCATE')
ORDER BY 1, 2
"""
ALL = ["SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES", "TRIGGER"]  # besides TRUNCATE


@dataclass(frozen=True)
class Unprotected:
    """What the project's objects leave open, with the roles that may use each.

    ``relations`` are tables without row-level security, foreign tables, materialized views, and views that run with
    the rights of their owner. ``functions`` are SECURITY DEFINER; those that a policy of the role calls are left out.
    ``truncates`` are the tables on which a role holds TRUNCATE. If it came with ALL, as platforms and dumps grant it,
    the table is in ``truncates_by_all`` instead.
    """

    relations: ByName = field(default_factory=dict)
    functions: ByName = field(default_factory=dict)
    truncates: ByName = field(default_factory=dict)
    truncates_by_all: ByName = field(default_factory=dict)


def read(connection: Connection[Any], *, by_default: bool) -> Unprotected:
    """Read it from a migrated database.

    ``by_default``: the platform grants all privileges on every new table, so that each TRUNCATE came with ALL.
    """
    truncates: dict[bool, ByName] = {False: {}, True: {}}
    for table, role, has_all in connection.execute(TRUNCATES.encode(), [ALL]):
        truncates[by_default or has_all].setdefault(table, []).append(role)
    relations, functions = (dict(connection.execute(query.encode()).fetchall()) for query in (RELATIONS, FUNCTIONS))
    return Unprotected(relations, functions, truncates[False], truncates[True])


def opened(before: Unprotected, after: Unprotected) -> set[str]:
    """The names of what more roles may use than before. A function may have got another one of its name."""
    return {
        name
        for old, new in zip(astuple(before), astuple(after), strict=True)
        for name, roles in new.items()
        if not {*roles} <= {*old.get(name, old.get(name.partition("(")[0], ()))}
    }


def of(found: Unprotected, names: Collection[str]) -> Unprotected:
    """Only the objects with these names."""

    def own(roles: ByName) -> ByName:
        return {name: roles[name] for name in roles if name in names}

    return Unprotected(own(found.relations), own(found.functions), own(found.truncates), own(found.truncates_by_all))
