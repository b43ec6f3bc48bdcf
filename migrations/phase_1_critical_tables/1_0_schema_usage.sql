-- 1.0: Lets signed-in users and the service into the schemas that the plan's objects live in or read.
-- Without it every grant further on ends in "permission denied for schema".

-- Fail soon rather than queue behind a long transaction and hold the application up.
SET LOCAL lock_timeout = '5s';

-- Only what is missing is granted, and each grant is noted in the comment of schema audit, below whatever
-- stands there: the rollback takes back what the notes name, and nothing that was there before.
DO $$
DECLARE
  missing record;
  note text;
  comment_before text;
BEGIN
  FOR missing IN
    SELECT schema_name, role_name
    FROM
      unnest(ARRAY['identity', 'organization', 'catalog', 'scheduling', 'communication', 'engagement', 'audit'])
        AS s (schema_name),
      unnest(ARRAY['authenticated', 'service_role']) AS r (role_name)
    WHERE NOT has_schema_privilege(role_name, schema_name, 'USAGE')
  LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', missing.schema_name, missing.role_name);

    note := format('enorae phase 1: granted usage on schema %s to %s', missing.schema_name, missing.role_name);
    comment_before := obj_description('audit'::regnamespace, 'pg_namespace');
    IF note <> ALL (string_to_array(COALESCE(comment_before, ''), E'\n')) THEN
      EXECUTE format('COMMENT ON SCHEMA audit IS %L', concat_ws(E'\n', comment_before, note));
    END IF;
  END LOOP;
END
$$;
