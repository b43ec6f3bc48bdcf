-- Policies.
SELECT 'relation', full_name, 'policy ' || quote_ident(polname), property, value
FROM relation r
JOIN pg_policy p ON p.polrelid = r.oid
CROSS JOIN LATERAL (VALUES
  (1, 'kind', CASE WHEN polpermissive THEN 'permissive' ELSE 'restrictive' END),
  (2, 'command', CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                             WHEN 'd' THEN 'DELETE' ELSE 'ALL' END),
  (3, 'roles', (SELECT string_agg(COALESCE(quote_ident(rolname), 'PUBLIC'), ', ' ORDER BY rolname)
                FROM unnest(polroles) AS u (oid) LEFT JOIN pg_roles o ON o.oid = u.oid)),
  (4, 'using', pg_get_expr(polqual, polrelid)),
  (5, 'with check', pg_get_expr(polwithcheck, polrelid))
) AS properties (position, property, value)
WHERE value IS NOT NULL
ORDER BY full_name, polname, position
