-- The tables that inherit from a table or are its partitions, and the publications that have it.
SELECT 'relation', full_name, 'child ' || inhrelid::regclass::text, 'kind',
       CASE WHEN c.relispartition THEN 'partition' ELSE 'inherits' END
FROM relation r
JOIN pg_inherits h ON h.inhparent = r.oid
JOIN pg_class c ON c.oid = h.inhrelid
UNION ALL
SELECT 'relation', r.full_name, 'publication ' || quote_ident(pubname), 'rows', COALESCE(rowfilter, 'all')
FROM relation r
JOIN schema s ON s.oid = r.relnamespace
JOIN pg_publication_tables p ON p.schemaname = s.nspname AND p.tablename = r.relname
ORDER BY 2, 3
