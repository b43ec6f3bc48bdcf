-- Roles, their memberships and their settings. They belong to the whole server.
SELECT 'role', quote_ident(rolname), '', property, value
FROM pg_roles
CROSS JOIN LATERAL (VALUES
  (1, 'kind', 'role'),
  (2, 'superuser', CASE WHEN rolsuper THEN 'yes' ELSE 'no' END),
  (3, 'bypasses row level security', CASE WHEN rolbypassrls THEN 'yes' ELSE 'no' END),
  (4, 'creates roles', CASE WHEN rolcreaterole THEN 'yes' ELSE 'no' END),
  (5, 'replication', CASE WHEN rolreplication THEN 'yes' ELSE 'no' END),
  (6, 'inherits privileges', CASE WHEN rolinherit THEN 'yes' ELSE 'no' END)
) AS properties (position, property, value)
WHERE rolname !~ '^pg_'
UNION ALL
SELECT 'role', quote_ident(m.rolname), 'membership in ' || quote_ident(r.rolname), 'kind', 'membership'
FROM pg_auth_members JOIN pg_roles m ON m.oid = member JOIN pg_roles r ON r.oid = roleid
WHERE m.rolname !~ '^pg_'
UNION ALL
SELECT 'role', COALESCE(quote_ident(rolname), 'every role'), 'setting ' || split_part(setting, '=', 1),
       'value', substr(setting, strpos(setting, '=') + 1)
FROM pg_db_role_setting
LEFT JOIN pg_roles r ON r.oid = setrole
CROSS JOIN unnest(setconfig) AS setting
WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
ORDER BY 1, 2, 3
