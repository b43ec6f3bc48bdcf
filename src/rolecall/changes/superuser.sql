-- What only a superuser may read, as rows of name and value.
SELECT 'large object ' || m.oid, coalesce(md5(string_agg(data, '' ORDER BY pageno)), 'empty')
FROM pg_largeobject_metadata AS m LEFT JOIN pg_largeobject ON loid = m.oid GROUP BY m.oid
UNION ALL
SELECT 'notifications', 'sent' WHERE EXISTS (
  SELECT FROM pg_backend_memory_contexts WHERE lower(name) = 'pending notifies'
)
