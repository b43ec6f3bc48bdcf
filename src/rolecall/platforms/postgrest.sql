-- PostgREST on a PostgreSQL of your own, version 1 of this stand-in: the roles of PostgREST's documentation, version 13,
-- "Authentication" and "Tutorial 0". The schema of the API and the roles of signed-in users are the project's.
--
-- Run in a fresh database by a superuser. Reads the setting rolecall.migration_role.

-- Roles belong to the whole cluster, and another session may create the same ones at this moment.
DO $$
DECLARE
  migration_role text := COALESCE(NULLIF(current_setting('rolecall.migration_role', true), ''), 'postgrest_owner');
  new_role record;
  client text;
BEGIN
  FOR new_role IN
    SELECT *
    FROM (VALUES
      ('anon', 'NOLOGIN'),
      ('web_anon', 'NOLOGIN'),
      ('authenticator', 'LOGIN NOINHERIT'),
      (migration_role, 'LOGIN CREATEROLE')
    ) AS role (name, options)
  LOOP
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = new_role.name) THEN
        EXECUTE format('CREATE ROLE %I %s', new_role.name, new_role.options);
      END IF;
    EXCEPTION
      WHEN duplicate_object OR unique_violation THEN NULL;
    END;
  END LOOP;

  FOREACH client IN ARRAY ARRAY['anon', 'web_anon'] LOOP
    BEGIN
      IF NOT pg_has_role('authenticator', client, 'MEMBER') THEN
        EXECUTE format('GRANT %I TO authenticator', client);
      END IF;
    EXCEPTION
      WHEN duplicate_object OR unique_violation THEN NULL;
    END;
  END LOOP;

  -- The migration role owns the database there.
  EXECUTE format('GRANT ALL ON DATABASE %I TO %I', current_database(), migration_role);
  EXECUTE format('GRANT ALL ON SCHEMA public TO %I', migration_role);
END
$$;
