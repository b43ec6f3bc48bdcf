-- The columns of tables and views. Since version 18 a NOT NULL is a constraint too; here it belongs to its column.
SELECT 'relation', full_name, 'column ' || quote_ident(attname), property, value
FROM relation r
JOIN pg_attribute a ON a.attrelid = r.oid AND attnum > 0 AND NOT attisdropped
JOIN pg_type t ON t.oid = atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
CROSS JOIN LATERAL (VALUES
  (1, 'type', format_type(atttypid, atttypmod)),
  (2, 'nulls', CASE
        WHEN relkind IN ('v', 'm') THEN NULL
        WHEN NOT attnotnull THEN 'allowed'
        WHEN EXISTS (SELECT FROM pg_constraint WHERE conrelid = r.oid AND contype = 'n' AND NOT convalidated
                     AND conkey = ARRAY[attnum]) THEN 'refused, NOT VALID for old rows'
        ELSE 'refused' END),
  (3, 'default', CASE WHEN attgenerated = '' THEN pg_get_expr(adbin, adrelid) END),
  (4, 'identity', CASE attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END),
  (5, 'generated', CASE attgenerated WHEN 's' THEN 'stored ' WHEN 'v' THEN 'virtual ' END
        || pg_get_expr(adbin, adrelid)),
  (6, 'collation', CASE WHEN attcollation <> typcollation THEN attcollation::regcollation::text END),
  -- col_description() would run a function for each column, which takes ten times as long.
  (7, 'comment', (SELECT description FROM pg_description
                  WHERE objoid = r.oid AND classoid = 'pg_class'::regclass AND objsubid = attnum))
) AS properties (position, property, value)
WHERE relkind <> 'S' AND value IS NOT NULL
ORDER BY full_name, attnum, position
