-- Enums, domains, composite types and ranges.
SELECT 'type', full_name, '', property, value
FROM data_type t
CROSS JOIN LATERAL (VALUES
  (1, 'kind', CASE typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' ELSE 'composite type' END),
  (2, 'owner', pg_get_userbyid(typowner)),
  (3, 'labels', (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder)
                 FROM pg_enum WHERE enumtypid = t.oid)),
  (4, 'base type', CASE typtype WHEN 'd' THEN format_type(typbasetype, typtypmod)
        WHEN 'r' THEN (SELECT format_type(rngsubtype, NULL) FROM pg_range WHERE rngtypid = t.oid) END),
  (5, 'nulls', CASE WHEN typtype = 'd' THEN CASE WHEN typnotnull THEN 'refused' ELSE 'allowed' END END),
  (6, 'default', typdefault),
  (7, 'constraints', (SELECT string_agg(quote_ident(conname) || ' ' || pg_get_constraintdef(oid), ', ' ORDER BY conname)
                      FROM pg_constraint WHERE contypid = t.oid AND contype = 'c')),
  (8, 'attributes', (SELECT string_agg(quote_ident(attname) || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)
                     FROM pg_attribute WHERE attrelid = NULLIF(t.typrelid, 0) AND NOT attisdropped))
) AS properties (position, property, value)
WHERE value IS NOT NULL
ORDER BY full_name, position
