"""Which tables and views use an object: in a policy, a trigger, a query or a function, or as their partition."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

# What uses what, as PostgreSQL records it: policies and triggers belong to their table, rules to their view, and a
# function with a parsed body is an object of its own. The text of another function uses whatever it names, also without
# the schema: it is better to run a test too many. A row of a partition is also one of the parent.
DEPENDENTS = r"""
WITH RECURSIVE named (class, oid, name, bare) AS (
  SELECT 'pg_class'::regclass, c.oid, n.nspname || '.' || relname, lower(relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'p', 'v', 'm')
  UNION ALL
  SELECT 'pg_proc'::regclass, p.oid, n.nspname || '.' || proname, lower(proname)
  FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
), text (oid, source) AS (
  SELECT p.oid, lower(prosrc) FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
  WHERE prosqlbody IS NULL AND nspname !~ '^(pg_|information_schema$)'
), word (oid, bare) AS (
  SELECT DISTINCT oid, match[1] FROM text, regexp_matches(source, '\w+', 'g') AS match
  UNION SELECT text.oid, named.bare FROM text JOIN named ON named.bare ~ '\W' AND strpos(source, named.bare) > 0
), part (class, oid, of_class, of) AS (
  SELECT 'pg_policy'::regclass, oid, 'pg_class'::regclass, polrelid FROM pg_policy
  UNION ALL SELECT 'pg_trigger'::regclass, oid, 'pg_class'::regclass, tgrelid FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL SELECT 'pg_rewrite'::regclass, oid, 'pg_class'::regclass, ev_class FROM pg_rewrite
  UNION ALL SELECT 'pg_proc'::regclass, oid, 'pg_proc'::regclass, oid FROM pg_proc
), uses (class, oid, user_class, user_oid) AS (
  SELECT DISTINCT refclassid::regclass, refobjid, of_class, of
  FROM pg_depend JOIN part ON part.class = classid::regclass AND part.oid = objid
  WHERE (refclassid, refobjid) <> (of_class, of)
  UNION SELECT named.class, named.oid, 'pg_proc'::regclass, word.oid FROM word JOIN named USING (bare)
  WHERE named.oid <> word.oid AND named.name !~ '^(pg_|information_schema[.])'
  UNION SELECT 'pg_class'::regclass, inhrelid, 'pg_class'::regclass, inhparent FROM pg_inherits
), used (class, oid, user_class, user_oid) AS (
  SELECT * FROM uses
  UNION
  SELECT used.class, used.oid, uses.user_class, uses.user_oid
  FROM used JOIN uses ON (uses.class, uses.oid) = (used.user_class, used.user_oid)
)
SELECT object.name, array_agg(DISTINCT dependent.name ORDER BY dependent.name)
FROM used
JOIN named AS object ON (object.class, object.oid) = (used.class, used.oid)
JOIN named AS dependent ON (dependent.class, dependent.oid) = (used.user_class, used.user_oid)
WHERE used.user_class = 'pg_class'::regclass AND object.name <> dependent.name
  AND object.name !~ '^(pg_|information_schema[.])' AND dependent.name !~ '^(pg_|information_schema[.])'
GROUP BY 1
"""


def dependents(connection: Connection[Any]) -> dict[str, list[str]]:
    """The tables and views that use each table, view or function, also through others, by its qualified name."""
    return {str(name): list(users) for name, users in connection.execute(DEPENDENTS)}
