-- Privileges, also on single columns. An object without a GRANT or REVOKE has the privileges of acldefault().
SELECT kind, object, 'privileges of ' || CASE
         WHEN g.grantee = 0 THEN 'PUBLIC' WHEN g.grantee = owner THEN 'its owner'
         ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
       g.privilege_type || COALESCE(' (' || quote_ident(attname) || ')', ''),
       CASE WHEN bool_or(g.is_grantable) AND g.grantee <> owner THEN 'with grant option' ELSE 'yes' END
FROM (
  SELECT 'relation', full_name, NULL::name, relowner,
         COALESCE(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))
  FROM relation
  UNION ALL
  SELECT 'relation', full_name, attname, relowner, attacl
  FROM relation r JOIN pg_attribute ON attrelid = r.oid AND NOT attisdropped
  WHERE attacl IS NOT NULL
  UNION ALL
  SELECT 'routine', full_name, NULL, proowner, COALESCE(proacl, acldefault('f', proowner)) FROM routine
  UNION ALL
  SELECT 'type', full_name, NULL, typowner, COALESCE(typacl, acldefault('T', typowner)) FROM data_type
  UNION ALL
  SELECT 'schema', full_name, NULL, nspowner, COALESCE(nspacl, acldefault('n', nspowner)) FROM schema
) AS o (kind, object, attname, owner, acl)
CROSS JOIN aclexplode(acl) AS g
GROUP BY kind, object, g.grantee, owner, g.privilege_type, attname
ORDER BY 1, 2, 3, 4
