-- What the objects of the schemas depend on, from pg_depend: a row for each pair of object and referenced object. The
-- kinds and names are those of a snapshot.
WITH element AS (
  -- An array depends on its element, and a table's row type is the table.
  SELECT oid, COALESCE(NULLIF(typelem, 0), oid) AS base FROM pg_type WHERE typcategory = 'A'
  UNION ALL
  SELECT oid, oid FROM pg_type WHERE typcategory <> 'A'
),
thing (classid, objid, subid, kind, object, part, schema) AS (
  SELECT 'pg_class'::regclass::oid, c.oid, 0, 'relation', c.oid::regclass::text, '', relnamespace
  FROM pg_class c WHERE relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
  UNION ALL
  SELECT 'pg_class'::regclass, attrelid, attnum, 'relation', attrelid::regclass::text,
         'column ' || quote_ident(attname), relnamespace
  FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
  WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p', 'f', 'v', 'm')
  UNION ALL
  SELECT 'pg_class'::regclass, i.oid, 0, 'relation', indrelid::regclass::text,
         'index ' || quote_ident(i.relname), i.relnamespace
  FROM pg_index JOIN pg_class i ON i.oid = indexrelid
  UNION ALL
  SELECT 'pg_attrdef'::regclass, d.oid, 0, 'relation', attrelid::regclass::text,
         'column ' || quote_ident(attname), relnamespace
  FROM pg_attrdef d JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum JOIN pg_class c ON c.oid = adrelid
  UNION ALL
  SELECT 'pg_constraint'::regclass, o.oid, 0, 'relation', conrelid::regclass::text,
         'constraint ' || quote_ident(conname), connamespace
  FROM pg_constraint o WHERE conrelid <> 0
  UNION ALL
  SELECT 'pg_policy'::regclass, p.oid, 0, 'relation', polrelid::regclass::text,
         'policy ' || quote_ident(polname), relnamespace
  FROM pg_policy p JOIN pg_class c ON c.oid = polrelid
  UNION ALL
  SELECT 'pg_trigger'::regclass, t.oid, 0, 'relation', tgrelid::regclass::text,
         'trigger ' || quote_ident(tgname), relnamespace
  FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid WHERE NOT tgisinternal
  UNION ALL
  SELECT 'pg_rewrite'::regclass, w.oid, 0, 'relation', ev_class::regclass::text,
         CASE WHEN rulename = '_RETURN' THEN '' ELSE 'rule ' || quote_ident(rulename) END, relnamespace
  FROM pg_rewrite w JOIN pg_class c ON c.oid = ev_class
  UNION ALL
  SELECT 'pg_proc'::regclass, p.oid, 0, 'routine', p.oid::regprocedure::text, '', pronamespace FROM pg_proc p
  UNION ALL
  SELECT 'pg_type'::regclass, e.oid, 0, CASE WHEN typrelid <> 0 AND relkind <> 'c' THEN 'relation' ELSE 'type' END,
         CASE WHEN typrelid <> 0 AND relkind <> 'c' THEN typrelid::regclass::text ELSE format_type(t.oid, NULL) END, '',
         typnamespace
  FROM element e JOIN pg_type t ON t.oid = e.base LEFT JOIN pg_class c ON c.oid = typrelid
  UNION ALL
  SELECT 'pg_namespace'::regclass, n.oid, 0, 'schema', quote_ident(nspname), '', n.oid FROM pg_namespace n
)
SELECT DISTINCT t.kind, t.object, t.part,
       CASE WHEN x.oid IS NULL THEN r.kind ELSE 'extension' END,
       CASE WHEN x.oid IS NULL THEN r.object ELSE quote_ident(extname) END,
       CASE WHEN x.oid IS NULL THEN r.part ELSE '' END
FROM pg_depend d
JOIN thing t USING (classid, objid)
JOIN pg_namespace n ON n.oid = t.schema AND nspname !~ '^pg_' AND nspname <> 'information_schema'
JOIN thing r ON r.classid = refclassid AND r.objid = refobjid AND r.subid = refobjsubid
LEFT JOIN pg_depend e ON e.classid = r.classid AND e.objid = r.objid AND e.deptype = 'e'
LEFT JOIN pg_extension x ON x.oid = e.refobjid
WHERE d.deptype IN ('n', 'a', 'i') AND t.subid = d.objsubid
ORDER BY 1, 2, 3, 4, 5, 6
