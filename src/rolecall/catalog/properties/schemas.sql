-- Schemas, extensions, and the privileges that new objects get.
SELECT 'schema', full_name, '', property, value
FROM schema CROSS JOIN LATERAL (VALUES ('kind', 'schema'), ('owner', pg_get_userbyid(nspowner))) AS properties (property, value)
UNION ALL
SELECT 'extension', quote_ident(extname), '', property, value
FROM pg_extension CROSS JOIN LATERAL (VALUES ('kind', 'extension'), ('version', extversion)) AS properties (property, value)
UNION ALL
SELECT 'default privileges',
       concat_ws(' ', quote_ident(pg_get_userbyid(defaclrole)), 'for new',
                 CASE defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions'
                                    WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE 'large objects' END,
                 'in ' || s.full_name),
       'privileges of ' || COALESCE(quote_ident(r.rolname), 'PUBLIC'), privilege_type, 'yes'
FROM pg_default_acl d
LEFT JOIN schema s ON s.oid = defaclnamespace
CROSS JOIN aclexplode(defaclacl) AS g
LEFT JOIN pg_roles r ON r.oid = g.grantee
WHERE (defaclnamespace = 0 OR s.oid IS NOT NULL) AND g.grantee <> defaclrole
ORDER BY 1, 2, 3
