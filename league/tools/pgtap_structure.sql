-- Prints one assertion of pgTAP a line for what the catalog has: policies, privileges, columns, indexes, triggers,
-- functions and views.
\pset fieldsep ''
CREATE TEMP TABLE roles AS
SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role');

CREATE TEMP TABLE relations AS
SELECT c.oid, nspname, relname, relkind
FROM pg_class c
JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind IN ('r', 'v')
  AND nspname IN ('audit', 'catalog', 'communication', 'engagement', 'identity', 'organization', 'scheduling', 'storage');

CREATE TEMP TABLE functions AS
SELECT p.*, nspname,
  COALESCE((SELECT array_agg(format_type(t, NULL) ORDER BY n) FROM unnest(proargtypes) WITH ORDINALITY AS a (t, n)), '{}')
    AS args
FROM pg_proc p
JOIN pg_namespace n ON n.oid = pronamespace
JOIN (SELECT DISTINCT nspname AS name FROM relations) AS r ON r.name = nspname;

-- Policies
SELECT format('SELECT policies_are(%L, %L, %L::name[]);', nspname, relname,
  array(SELECT polname FROM pg_policy WHERE polrelid = r.oid ORDER BY 1))
FROM relations r WHERE relkind = 'r';
SELECT format('SELECT policy_cmd_is(%L, %L, %L::name, %L);', schemaname, tablename, policyname, cmd),
  E'\n', format('SELECT policy_roles_are(%L, %L, %L::name, %L::name[]);', schemaname, tablename, policyname, roles)
FROM pg_policies JOIN (SELECT DISTINCT nspname FROM relations) AS n ON nspname = schemaname;

-- Privileges
SELECT format('SELECT table_privs_are(%L, %L, %L, %L::text[]);', nspname, relname, rolname,
  array(SELECT p FROM unnest('{DELETE,INSERT,REFERENCES,SELECT,TRIGGER,TRUNCATE,UPDATE}'::text[]) AS p
        WHERE has_table_privilege(rolname, r.oid, p)))
FROM relations r CROSS JOIN roles;
SELECT format('SELECT function_privs_are(%L, %L, %L::text[], %L, %L::text[]);', nspname, proname, args, rolname,
  CASE WHEN has_function_privilege(rolname, oid, 'EXECUTE') THEN '{EXECUTE}' ELSE '{}' END)
FROM functions CROSS JOIN roles;
SELECT format('SELECT schema_privs_are(%L, %L, %L::text[]);', nspname, rolname,
  array(SELECT p FROM unnest('{CREATE,USAGE}'::text[]) AS p WHERE has_schema_privilege(rolname, nspname, p)))
FROM (SELECT DISTINCT nspname FROM relations) AS n CROSS JOIN roles;

-- Columns
SELECT format('SELECT columns_are(%L, %L, %L::name[]);', nspname, relname,
  array(SELECT attname FROM pg_attribute WHERE attrelid = r.oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum))
FROM relations r;
SELECT format('SELECT col_type_is(%L, %L::name, %L::name, %L);', nspname, relname, attname, format_type(atttypid, atttypmod)),
  E'\n', CASE relkind WHEN 'r' THEN format('SELECT %s(%L, %L::name, %L::name, %L);',
    CASE WHEN attnotnull THEN 'col_not_null' ELSE 'col_is_null' END, nspname, relname, attname, attname || ' and NULL') END,
  E'\n', CASE WHEN relkind = 'r' AND NOT atthasdef
    THEN format('SELECT col_hasnt_default(%L, %L::name, %L::name, %L);', nspname, relname, attname, attname) END,
  E'\n', CASE WHEN relkind = 'r' AND atthasdef THEN format('SELECT col_default_is(%L, %L::name, %L::name, %L::text, %L);', nspname, relname, attname,
    substring(pg_get_expr(adbin, adrelid) FROM $re$^'?(.*?)'?(::[a-z ]+)?$$re$), attname || ' and its default') END
FROM relations r
JOIN pg_attribute ON attrelid = r.oid
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attnum > 0 AND NOT attisdropped;

-- Indexes, triggers, keys and checks
SELECT format('SELECT indexes_are(%L, %L, %L::name[]);', nspname, relname,
  array(SELECT i.relname FROM pg_index JOIN pg_class i ON i.oid = indexrelid WHERE indrelid = r.oid ORDER BY 1)),
  E'\n', format('SELECT triggers_are(%L, %L, %L::name[]);', nspname, relname,
  array(SELECT tgname FROM pg_trigger WHERE tgrelid = r.oid AND NOT tgisinternal ORDER BY 1))
FROM relations r WHERE relkind = 'r';
SELECT format('SELECT %s(%L, %L::name, %L::name);', CASE WHEN indisunique THEN 'index_is_unique' ELSE 'has_index' END,
  nspname, r.relname, i.relname)
FROM pg_index JOIN pg_class i ON i.oid = indexrelid JOIN relations r ON r.oid = indrelid;
SELECT format('SELECT fk_ok(%L, %L, %L::name[], %L, %L, %L::name[]);', r.nspname, r.relname,
  array(SELECT attname FROM unnest(conkey) AS k JOIN pg_attribute ON attrelid = conrelid AND attnum = k),
  f.nspname, f.relname, array(SELECT attname FROM unnest(confkey) AS k JOIN pg_attribute ON attrelid = confrelid AND attnum = k))
FROM pg_constraint JOIN relations r ON r.oid = conrelid JOIN relations f ON f.oid = confrelid WHERE contype = 'f';

SELECT format('SELECT trigger_is(%L, %L::name, %L::name, %L, %L::name);', r.nspname, relname, tgname,
  pronamespace::regnamespace, proname)
FROM pg_trigger JOIN relations r ON r.oid = tgrelid JOIN pg_proc p ON p.oid = tgfoid WHERE NOT tgisinternal;
SELECT format('SELECT col_has_check(%L, %L::name, %L::name[], %L);', nspname, relname,
  array(SELECT attname FROM unnest(conkey) AS k JOIN pg_attribute ON attrelid = conrelid AND attnum = k), conname)
FROM pg_constraint JOIN relations r ON r.oid = conrelid WHERE contype = 'c';

-- Owners
SELECT format('SELECT %s_owner_is(%L, %L::name, %L::name);', CASE relkind WHEN 'r' THEN 'table' ELSE 'view' END,
  nspname, relname, relowner::regrole)
FROM relations JOIN pg_class USING (oid, relname, relkind);
SELECT format('SELECT function_owner_is(%L, %L::name, %L::text[], %L::name);', nspname, proname, args, proowner::regrole)
FROM functions;

-- Functions
SELECT format('SELECT volatility_is(%L, %L, %L::name[], %L);', nspname, proname, args,
    CASE provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END),
  E'\n', format('SELECT %s(%L, %L::name, %L::name[]);', CASE WHEN prosecdef THEN 'is_definer' ELSE 'isnt_definer' END,
    nspname, proname, args),
  E'\n', format('SELECT %s(%L, %L::name, %L::name[]);', CASE WHEN proisstrict THEN 'is_strict' ELSE 'isnt_strict' END,
    nspname, proname, args),
  E'\n', format('SELECT function_returns(%L, %L::name, %L::name[], %L);', nspname, proname, args,
    CASE WHEN proretset THEN 'setof ' ELSE '' END || format_type(prorettype, NULL))
FROM functions;
