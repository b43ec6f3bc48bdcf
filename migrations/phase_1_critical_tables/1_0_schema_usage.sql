-- 1.0: Grants signed-in users and the service USAGE on the schemas of the plan.
-- Without it every later grant ends in "permission denied for schema".

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';

-- Grants only what is missing, and notes each grant in the comment of schema audit, below its existing text:
-- the rollback revokes only the grants in these notes.
DO $$
DECLARE
  privilege record;
  note text;
  comment_before text;
BEGIN
  FOR privilege IN
    SELECT schema_name, role_name
    FROM
      unnest(ARRAY['identity', 'organization', 'catalog', 'scheduling', 'communication', 'engagement', 'audit'])
        AS s (schema_name),
      unnest(ARRAY['authenticated', 'service_role']) AS r (role_name)
    WHERE NOT has_schema_privilege(role_name, schema_name, 'USAGE')
  LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', privilege.schema_name, privilege.role_name);

    note := format('enorae phase 1: granted usage on schema %s to %s', privilege.schema_name, privilege.role_name);
    comment_before := obj_description('audit'::regnamespace, 'pg_namespace');
    IF note <> ALL (string_to_array(COALESCE(comment_before, ''), E'\n')) THEN
      EXECUTE format('COMMENT ON SCHEMA audit IS %L', concat_ws(E'\n', comment_before, note));
    END IF;
  END LOOP;
END
$$;
