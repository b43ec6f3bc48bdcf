-- The indexes of no constraint.
SELECT 'relation', full_name, 'index ' || quote_ident(i.relname), property, value
FROM relation r
JOIN pg_index x ON x.indrelid = r.oid
JOIN pg_class i ON i.oid = x.indexrelid
CROSS JOIN LATERAL (VALUES
  (1, 'definition', substring(pg_get_indexdef(i.oid) FROM ' USING (.*)')),
  (2, 'unique', CASE WHEN indisunique THEN 'yes' ELSE 'no' END),
  (3, 'valid', CASE WHEN indisvalid AND indisready AND indislive THEN 'yes' ELSE 'no' END)
) AS properties (position, property, value)
WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.oid AND conrelid = r.oid)
ORDER BY full_name, i.relname, position
