-- A stand-in for the platform: what a Supabase project has before the first table of the application.
-- Run once in a fresh database by a superuser. Reads two settings: rolecall.default_privileges, rolecall.migration_role.

-- Settings -------------------------------------------------------------------

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

-- Roles ----------------------------------------------------------------------

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
      ('anon', 'NOLOGIN NOINHERIT'),
      ('authenticated', 'NOLOGIN NOINHERIT'),
      ('service_role', 'NOLOGIN NOINHERIT BYPASSRLS'),
      ('authenticator', 'LOGIN NOINHERIT'),
      ('supabase_storage_admin', 'NOLOGIN NOINHERIT'),
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
-- of the two owners to give them objects; a superuser has them anyway.
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
      -- For the policies on the tables of storage, see below. It must not become the owner.
      ('supabase_storage_admin', migration_role, 'MEMBER', without_set),
      ('supabase_storage_admin', current_user, 'USAGE', NULL),
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

  EXECUTE format('GRANT CREATE ON DATABASE %I TO %I', current_database(), migration_role);
END
$$;

-- auth -----------------------------------------------------------------------

CREATE SCHEMA auth;

-- PostgREST used to have a setting for each claim, and now has one for all. These functions read both, the old one
-- first. After the transaction that set it, a setting is '' and not NULL.
CREATE FUNCTION auth.uid() RETURNS uuid
LANGUAGE sql STABLE
AS $$
  SELECT COALESCE(
    NULLIF(current_setting('request.jwt.claim.sub', true), ''),
    NULLIF(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
  )::uuid
$$;

CREATE FUNCTION auth.role() RETURNS text
LANGUAGE sql STABLE
AS $$
  SELECT COALESCE(
    NULLIF(current_setting('request.jwt.claim.role', true), ''),
    NULLIF(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'
  )
$$;

CREATE FUNCTION auth.jwt() RETURNS jsonb
LANGUAGE sql STABLE
AS $$
  SELECT COALESCE(
    NULLIF(current_setting('request.jwt.claim', true), ''),
    NULLIF(current_setting('request.jwt.claims', true), '')
  )::jsonb
$$;

-- storage --------------------------------------------------------------------

CREATE SCHEMA storage;

CREATE TABLE storage.buckets (
  id text PRIMARY KEY,
  name text NOT NULL,
  owner uuid,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now(),
  public boolean DEFAULT false,
  file_size_limit bigint,
  allowed_mime_types text[]
);
CREATE UNIQUE INDEX bname ON storage.buckets (name);

CREATE TABLE storage.objects (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  bucket_id text CONSTRAINT "objects_bucketId_fkey" REFERENCES storage.buckets (id),
  name text,
  owner uuid,
  owner_id text,
  metadata jsonb,
  user_metadata jsonb,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now(),
  last_accessed_at timestamptz DEFAULT now()
);
CREATE UNIQUE INDEX bucketid_objname ON storage.objects (bucket_id, name);

ALTER TABLE storage.buckets ENABLE ROW LEVEL SECURITY;
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;

-- Every segment of the path except the last, which is the name of the file.
CREATE FUNCTION storage.foldername(name text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
  segments text[] := string_to_array(name, '/');
BEGIN
  RETURN segments[1:array_length(segments, 1) - 1];
END
$$;

-- Deleting only the row would leave the file: so only the Storage API may delete.
-- It identifies itself by a setting.
CREATE FUNCTION storage.protect_delete() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  IF current_setting('storage.allow_delete_query', true) IS DISTINCT FROM 'true' THEN
    RAISE EXCEPTION 'rows of storage.% are deleted through the Storage API, not directly', TG_TABLE_NAME
      USING ERRCODE = '42501', HINT = 'The API sets storage.allow_delete_query to true.';
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER protect_buckets_delete
  BEFORE DELETE ON storage.buckets
  FOR EACH STATEMENT EXECUTE FUNCTION storage.protect_delete();

CREATE TRIGGER protect_objects_delete
  BEFORE DELETE ON storage.objects
  FOR EACH STATEMENT EXECUTE FUNCTION storage.protect_delete();

-- The migration role may add, alter and drop policies on the tables of storage, and nothing else there. The platform has
-- an extension for that. Plain PostgreSQL lets only members of the owner do so: the migration role is one, and this
-- refuses all other changes. Three differences remain: the refusal comes at the end of the statement, after it has
-- waited for its locks; GRANT and REVOKE have the effect of the owner's; and in version 15 SET ROLE to the owner works.
CREATE FUNCTION storage.allow_only_policies() RETURNS event_trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  change record;
BEGIN
  IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    RETURN;
  END IF;

  IF TG_EVENT = 'sql_drop' THEN
    SELECT object_type AS type, address_names[2] AS name, false AS is_new
    INTO change
    FROM pg_event_trigger_dropped_objects()
    WHERE original AND address_names[1] = 'storage' AND object_type <> 'policy';
  ELSE
    -- A trigger needs only the privilege TRIGGER, which all roles have there.
    SELECT CASE WHEN relname IS NULL THEN type ELSE 'table' END AS type, COALESCE(relname::text, object_names[2]) AS name,
      command_tag IN ('CREATE TABLE', 'CREATE VIEW', 'CREATE FUNCTION', 'CREATE SEQUENCE') AS is_new
    INTO change
    FROM pg_event_trigger_ddl_commands() AS c
    CROSS JOIN LATERAL pg_identify_object_as_address(c.classid, c.objid, c.objsubid)
    LEFT JOIN pg_index ON c.classid = 'pg_class'::regclass AND indexrelid = c.objid
    LEFT JOIN pg_class ON oid = indrelid
    WHERE c.objid IS NOT NULL AND object_names[1] = 'storage'
      AND type <> 'policy' AND command_tag <> 'CREATE TRIGGER';
  END IF;

  IF change.is_new THEN
    RAISE EXCEPTION 'permission denied for schema storage' USING ERRCODE = '42501';
  ELSIF change.name IS NOT NULL THEN
    RAISE EXCEPTION 'must be owner of % %',
      CASE WHEN change.type IN ('function', 'index') THEN change.type ELSE 'table' END, change.name
      USING ERRCODE = '42501';
  END IF;
END
$$;

CREATE EVENT TRIGGER storage_changes_only_policies ON ddl_command_end
  EXECUTE FUNCTION storage.allow_only_policies();
CREATE EVENT TRIGGER storage_drops_only_policies ON sql_drop
  EXECUTE FUNCTION storage.allow_only_policies();

-- Owners, grants, default privileges ------------------------------------------

DO $$
DECLARE
  regime text := COALESCE(NULLIF(current_setting('rolecall.default_privileges', true), ''), 'revoked');
  migration_role text := COALESCE(NULLIF(current_setting('rolecall.migration_role', true), ''), 'postgres');
  api_roles text := 'anon, authenticated, service_role';
  kind text;
BEGIN
  EXECUTE format('GRANT USAGE ON SCHEMA public, auth, storage TO %s, %I', api_roles, migration_role);
  EXECUTE format('GRANT CREATE ON SCHEMA public TO %I', migration_role);
  EXECUTE format('GRANT ALL ON storage.buckets, storage.objects TO %s, %I', api_roles, migration_role);

  IF regime = 'granted' THEN
    FOREACH kind IN ARRAY ARRAY['TABLES', 'SEQUENCES', 'FUNCTIONS'] LOOP
      EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT ALL ON %s TO %s', migration_role, kind, api_roles);
    END LOOP;
  END IF;
END
$$;

-- Last: the session had to own these objects until now.
GRANT CREATE, USAGE ON SCHEMA storage TO supabase_storage_admin;
ALTER TABLE storage.buckets OWNER TO supabase_storage_admin;
ALTER TABLE storage.objects OWNER TO supabase_storage_admin;
ALTER FUNCTION storage.foldername(text) OWNER TO supabase_storage_admin;
ALTER FUNCTION storage.protect_delete() OWNER TO supabase_storage_admin;
