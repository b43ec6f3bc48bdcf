-- Neon with its Data API, version 1 of this stand-in. Compared with Neon's documentation, "Manage roles",
-- "Data API: access control" and "The pg_session_jwt extension", as in autumn 2026.
--
-- Left out on purpose: the extension pg_session_jwt itself (its functions are here, and read the claims of the request),
-- Neon's own schema neon, and the other tables of neon_auth.
--
-- Run in a fresh database by a superuser. Reads two settings: rolecall.default_privileges, rolecall.migration_role.

-- Roles belong to the whole cluster, and another session may create the same ones at this moment.
DO $$
DECLARE
  migration_role text := COALESCE(NULLIF(current_setting('rolecall.migration_role', true), ''), 'neondb_owner');
  new_role record;
  client text;
  member text;
BEGIN
  FOR new_role IN
    SELECT *
    FROM (VALUES
      ('anonymous', 'NOLOGIN'),
      ('authenticated', 'NOLOGIN'),
      ('authenticator', 'LOGIN NOINHERIT'),
      (migration_role, 'LOGIN CREATEDB CREATEROLE BYPASSRLS')
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

  FOR client, member IN
    SELECT r, m FROM unnest(ARRAY['anonymous', 'authenticated']) AS r, unnest(ARRAY['authenticator', migration_role]) AS m
  LOOP
    BEGIN
      IF NOT pg_has_role(member, client, 'MEMBER') THEN
        EXECUTE format('GRANT %I TO %I', client, member);
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

CREATE SCHEMA auth;

-- Without a key, pg_session_jwt reads the claims as PostgREST sets them.
CREATE FUNCTION auth.session() RETURNS jsonb
LANGUAGE sql STABLE
AS $$ SELECT NULLIF(current_setting('request.jwt.claims', true), '')::jsonb $$;

CREATE FUNCTION auth.user_id() RETURNS text
LANGUAGE sql STABLE
AS $$ SELECT auth.session() ->> 'sub' $$;

CREATE FUNCTION auth.uid() RETURNS uuid
LANGUAGE sql STABLE
AS $$ SELECT auth.user_id()::uuid $$;

-- The users of Neon Auth, as far as schemas refer to them.
CREATE SCHEMA neon_auth;
CREATE TABLE neon_auth.users_sync (
  raw_json jsonb NOT NULL,
  id text GENERATED ALWAYS AS (raw_json ->> 'id') STORED PRIMARY KEY,
  name text GENERATED ALWAYS AS (raw_json ->> 'display_name') STORED,
  email text GENERATED ALWAYS AS (raw_json ->> 'primary_email') STORED,
  created_at timestamptz GENERATED ALWAYS AS (to_timestamp((raw_json ->> 'signed_up_at_millis')::float8 / 1000)) STORED,
  updated_at timestamptz,
  deleted_at timestamptz
);

DO $$
DECLARE
  regime text := COALESCE(NULLIF(current_setting('rolecall.default_privileges', true), ''), 'revoked');
  migration_role text := COALESCE(NULLIF(current_setting('rolecall.migration_role', true), ''), 'neondb_owner');
BEGIN
  EXECUTE format('GRANT USAGE ON SCHEMA public, auth TO anonymous, authenticated, %I', migration_role);
  EXECUTE format('GRANT ALL ON SCHEMA neon_auth TO %I', migration_role);
  EXECUTE format('GRANT ALL ON neon_auth.users_sync TO %I', migration_role);
  -- What the Data API grants if a project asks for it when it is turned on.
  IF regime = 'granted' THEN
    EXECUTE format(
      'ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO authenticated',
      migration_role
    );
    EXECUTE format(
      'ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA public GRANT USAGE ON SEQUENCES TO authenticated', migration_role
    );
  END IF;
END
$$;
