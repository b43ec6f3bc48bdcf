-- What every query of this folder selects from. Objects of extensions belong to the extension: they are left out.
WITH schema AS (
  SELECT oid, nspname, nspowner, nspacl, quote_ident(nspname) AS full_name
  FROM pg_namespace
  WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    AND (%(schemas)s::text[] IS NULL OR nspname = ANY (%(schemas)s::text[]))
),
extension_member AS (
  SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
),
relation AS (
  SELECT c.*, c.oid::regclass::text AS full_name
  FROM pg_class c JOIN schema s ON s.oid = c.relnamespace
  WHERE relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
    AND ('pg_class'::regclass, c.oid) NOT IN (SELECT classid, objid FROM extension_member)
),
routine AS (
  SELECT p.*, p.oid::regprocedure::text AS full_name
  FROM pg_proc p JOIN schema s ON s.oid = p.pronamespace
  WHERE ('pg_proc'::regclass, p.oid) NOT IN (SELECT classid, objid FROM extension_member)
),
data_type AS (
  SELECT t.*, format_type(t.oid, NULL) AS full_name
  FROM pg_type t JOIN schema s ON s.oid = t.typnamespace
  LEFT JOIN pg_class c ON c.oid = t.typrelid
  WHERE (typtype IN ('e', 'd', 'r') OR (typtype = 'c' AND c.relkind = 'c'))
    AND ('pg_type'::regclass, t.oid) NOT IN (SELECT classid, objid FROM extension_member)
)
