-- The settings of the session, as rows of name and value. It runs before the snapshot changes any of them.
-- The names of custom settings (app.tenant) are those that functions, and the SQL of views and triggers, mention: the
-- server has no list of them.
WITH code (text) AS (
  SELECT concat_ws(' ', prosrc, pg_get_function_sqlbody(oid), array_to_string(proconfig, ' '))
  FROM pg_proc WHERE oid >= 16384
), custom (name) AS (
  SELECT lower(found[1])
  FROM code, regexp_matches(
    text,
    $re$\m(?:set_config|current_setting)\s*\(\s*'([A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*)+)'$re$, 'gi'
  ) AS found
  UNION
  SELECT lower(found[1])
  FROM code, regexp_matches(
    text,
    $re$\mset\s+(?:session\s+|local\s+)?([A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*)+)\s*(?:=|\mto\M)$re$, 'gi'
  ) AS found
  UNION
  SELECT unnest({names}::text[])
)
SELECT 'setting ' || name, setting FROM pg_settings
WHERE source = 'session' AND setting IS DISTINCT FROM reset_val AND name NOT LIKE 'transaction\_%'
UNION ALL
SELECT 'setting ' || name, nullif(current_setting(name, true), '') FROM custom
UNION ALL
SELECT 'setting role', current_setting('role')
UNION ALL
SELECT 'setting session_authorization', session_user::text
