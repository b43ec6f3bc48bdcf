-- Supabase, version 1 of this stand-in: a new project on PostgreSQL 17, as in autumn 2026. Compared with the public
-- sources of supabase/postgres (migrations/), supabase/auth, supabase/storage and supabase/realtime.
--
-- Left out on purpose:
--   supabase_admin (a superuser there), passwords, and the rights of service roles that no project's SQL uses;
--   statement_timeout of anon and authenticated: roles belong to the whole server;
--   pg_stat_statements, pgbouncer, and the tables of Auth, Storage and Realtime that schemas do not refer to;
--   the extension supautils: an event trigger in owners.sql does what it does for policies and triggers;
--   pg_graphql, pg_net, pg_cron: as there, they exist after CREATE EXTENSION.
--
-- Run in a fresh database by a superuser. Reads two settings: rolecall.default_privileges, rolecall.migration_role.

-- An empty setting counts as unset, here and below.
DO $$
DECLARE
  regime text := COALESCE(NULLIF(current_setting('rolecall.default_privileges', true), ''), 'revoked');
BEGIN
  IF regime NOT IN ('revoked', 'granted') THEN
    RAISE EXCEPTION 'rolecall.default_privileges is "%", but must be revoked or granted', regime
      USING ERRCODE = '22023';
  END IF;
END
$$;

-- Roles belong to the whole cluster, and another session may create the same ones at this moment: an existing
-- role stays unchanged, and a role that another session creates first is no error.
DO $$
DECLARE
  migration_role text := COALESCE(NULLIF(current_setting('rolecall.migration_role', true), ''), 'postgres');
  new_role record;
BEGIN
  FOR new_role IN
    SELECT *
    FROM (VALUES
      ('anon', 'NOLOGIN'),
      ('authenticated', 'NOLOGIN'),
      ('service_role', 'NOLOGIN BYPASSRLS'),
      ('authenticator', 'LOGIN NOINHERIT'),
      ('supabase_auth_admin', 'NOLOGIN NOINHERIT'),
      ('supabase_storage_admin', 'NOLOGIN NOINHERIT'),
      ('supabase_realtime_admin', 'NOLOGIN NOINHERIT'),
      ('dashboard_user', 'NOLOGIN'),
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

  -- A superuser bypasses every policy and every privilege: its result would prove nothing for production.
  IF (SELECT rolsuper OR NOT rolbypassrls FROM pg_roles WHERE rolname = migration_role) THEN
    RAISE EXCEPTION 'role "%" cannot run the migrations: it must bypass RLS and not be a superuser', migration_role
      USING ERRCODE = '42501',
        HINT = 'Name another role in rolecall.migration_role. It is created if it does not exist.';
  END IF;
END
$$;

-- A NOINHERIT member has no privileges of the role, so this tests for membership. The session needs the privileges
-- of the owners to give them objects; a superuser has them anyway.
DO $$
DECLARE
  migration_role text := COALESCE(NULLIF(current_setting('rolecall.migration_role', true), ''), 'postgres');
  without_set text := CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'WITH SET FALSE' END;
  new_grant record;
BEGIN
  FOR new_grant IN
    SELECT *
    FROM (VALUES
      ('anon', 'authenticator', 'MEMBER', NULL),
      ('authenticated', 'authenticator', 'MEMBER', NULL),
      ('service_role', 'authenticator', 'MEMBER', NULL),
      ('anon', migration_role, 'MEMBER', NULL),
      ('authenticated', migration_role, 'MEMBER', NULL),
      ('service_role', migration_role, 'MEMBER', NULL),
      -- For the policies on the tables of the platform, see owners.sql. It must not become an owner.
      ('supabase_auth_admin', migration_role, 'MEMBER', without_set),
      ('supabase_storage_admin', migration_role, 'MEMBER', without_set),
      ('supabase_realtime_admin', migration_role, 'MEMBER', without_set),
      ('supabase_auth_admin', current_user, 'USAGE', NULL),
      ('supabase_storage_admin', current_user, 'USAGE', NULL),
      ('supabase_realtime_admin', current_user, 'USAGE', NULL),
      (migration_role, current_user, 'USAGE', NULL)
    ) AS membership (role, member, privilege, options)
  LOOP
    BEGIN
      IF NOT pg_has_role(new_grant.member, new_grant.role, new_grant.privilege) THEN
        EXECUTE format('GRANT %I TO %I %s', new_grant.role, new_grant.member, new_grant.options);
      END IF;
    EXCEPTION
      WHEN duplicate_object OR unique_violation THEN NULL;
    END;
  END LOOP;

  EXECUTE format('GRANT ALL ON DATABASE %I TO %I, dashboard_user', current_database(), migration_role);
  -- There, a setting of the role `postgres`, and PostgREST sets the same for requests.
  EXECUTE format('ALTER DATABASE %I SET search_path = "$user", public, extensions', current_database());
END
$$;
