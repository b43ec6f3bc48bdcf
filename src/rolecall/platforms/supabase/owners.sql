-- Owners, grants and default privileges. Last: the session had to own these objects until now.

-- The migration role may add, alter and drop policies and triggers on the tables of the platform, and nothing else
-- there. The platform has an extension for that, supautils. Plain PostgreSQL lets only members of the owner do so: the
-- migration role is one, and this refuses all other changes. The triggers of the platform itself (protect_…) stay, too.
-- Three differences remain: the refusal comes at the end of the statement, after it has waited for its locks; GRANT and
-- REVOKE have the effect of the owner's; and in version 15 SET ROLE to the owner works.
CREATE FUNCTION storage.allow_only_policies() RETURNS event_trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  guarded text[] := ARRAY['auth', 'storage', 'realtime'];
  change record;
BEGIN
  IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    RETURN;
  END IF;

  IF TG_EVENT = 'sql_drop' THEN
    SELECT object_type AS type, address_names[1] AS schema, address_names[2] AS name, false AS is_new
    INTO change
    FROM pg_event_trigger_dropped_objects()
    WHERE original AND address_names[1] = ANY (guarded) AND object_type <> 'policy'
      AND (object_type <> 'trigger' OR starts_with(address_names[3], 'protect_'));
  ELSE
    -- A trigger needs only the privilege TRIGGER, which all roles have there.
    SELECT CASE WHEN relname IS NULL THEN type ELSE 'table' END AS type, object_names[1] AS schema,
      COALESCE(relname::text, object_names[2]) AS name,
      command_tag IN ('CREATE TABLE', 'CREATE VIEW', 'CREATE FUNCTION', 'CREATE SEQUENCE') AS is_new
    INTO change
    FROM pg_event_trigger_ddl_commands() AS c
    CROSS JOIN LATERAL pg_identify_object_as_address(c.classid, c.objid, c.objsubid)
    LEFT JOIN pg_index ON c.classid = 'pg_class'::regclass AND indexrelid = c.objid
    LEFT JOIN pg_class ON oid = indrelid
    WHERE c.objid IS NOT NULL AND object_names[1] = ANY (guarded)
      AND type <> 'policy' AND command_tag <> 'CREATE TRIGGER';
  END IF;

  IF change.is_new THEN
    RAISE EXCEPTION 'permission denied for schema %', change.schema USING ERRCODE = '42501';
  ELSIF change.name IS NOT NULL THEN
    RAISE EXCEPTION 'must be owner of % %',
      CASE WHEN change.type IN ('function', 'index') THEN change.type ELSE 'table' END, change.name
      USING ERRCODE = '42501';
  END IF;
END
$$;

DO $$
DECLARE
  regime text := COALESCE(NULLIF(current_setting('rolecall.default_privileges', true), ''), 'revoked');
  migration_role text := COALESCE(NULLIF(current_setting('rolecall.migration_role', true), ''), 'postgres');
  api_roles text := 'anon, authenticated, service_role';
  kind text;
  item record;
BEGIN
  EXECUTE format('GRANT USAGE ON SCHEMA public, auth, storage, realtime, extensions TO %s, %I', api_roles, migration_role);
  GRANT USAGE ON SCHEMA graphql, graphql_public TO PUBLIC;  -- as the stand-in for pg_graphql does
  EXECUTE format('GRANT CREATE ON SCHEMA public TO %I', migration_role);
  EXECUTE format('GRANT ALL ON SCHEMA extensions TO %I, dashboard_user', migration_role);
  EXECUTE format('GRANT ALL ON ALL TABLES IN SCHEMA auth TO %I, dashboard_user', migration_role);
  EXECUTE format('GRANT ALL ON storage.buckets, storage.objects TO %s, %I', api_roles, migration_role);
  EXECUTE format('GRANT ALL ON realtime.messages TO %I', migration_role);
  EXECUTE format('GRANT USAGE ON SCHEMA vault TO service_role, %I', migration_role);
  EXECUTE format('GRANT SELECT, DELETE ON vault.secrets, vault.decrypted_secrets TO service_role, %I', migration_role);
  EXECUTE format(
    'GRANT EXECUTE ON FUNCTION vault.create_secret, vault.update_secret TO service_role, %I', migration_role
  );
  -- ALTER PUBLICATION … ADD TABLE is how a migration turns Realtime on for a table.
  EXECUTE format('ALTER PUBLICATION supabase_realtime OWNER TO %I', migration_role);
  -- The CLI makes them as this role.
  EXECUTE format('ALTER SCHEMA supabase_migrations OWNER TO %I', migration_role);
  EXECUTE format('ALTER TABLE supabase_migrations.schema_migrations OWNER TO %I', migration_role);

  -- A new project has them in public. Here they are in every schema, as Supabase's guide for custom schemas grants them.
  IF regime = 'granted' THEN
    FOREACH kind IN ARRAY ARRAY['TABLES', 'SEQUENCES', 'FUNCTIONS'] LOOP
      EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT ALL ON %s TO %s', migration_role, kind, api_roles);
    END LOOP;
  END IF;

  GRANT CREATE, USAGE ON SCHEMA auth TO supabase_auth_admin;
  GRANT CREATE, USAGE ON SCHEMA storage TO supabase_storage_admin;
  GRANT CREATE, USAGE ON SCHEMA realtime TO supabase_realtime_admin;
  FOR item IN
    SELECT CASE WHEN relkind = 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind, c.oid::regclass::text AS name,
      relnamespace::regnamespace::text AS schema, relkind IN ('r', 'p') AS is_table
    FROM pg_class AS c
    WHERE relnamespace::regnamespace::text IN ('auth', 'storage', 'realtime') AND relkind IN ('r', 'p', 'v')
    UNION ALL
    SELECT 'FUNCTION', p.oid::regprocedure::text, pronamespace::regnamespace::text, false
    FROM pg_proc AS p
    WHERE pronamespace::regnamespace::text IN ('auth', 'storage', 'realtime')
      AND prorettype <> 'event_trigger'::regtype
  LOOP
    IF item.is_table THEN
      EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', item.name);
    END IF;
    EXECUTE format('ALTER %s %s OWNER TO %I', item.kind, item.name, format('supabase_%s_admin', item.schema));
  END LOOP;
END
$$;

-- After all changes of this file: the event triggers are for migrations.
CREATE EVENT TRIGGER storage_changes_only_policies ON ddl_command_end
  EXECUTE FUNCTION storage.allow_only_policies();
CREATE EVENT TRIGGER storage_drops_only_policies ON sql_drop
  EXECUTE FUNCTION storage.allow_only_policies();
