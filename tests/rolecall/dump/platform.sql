-- The platform of a project that has its own file, with less than the dumps refer to: the roles, three functions of auth,
-- and storage. The superuser runs it in a fresh database. It reads the setting rolecall.migration_role.

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
      -- For the policies on the tables of storage. It must not become the owner.
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

-- Owners, grants, default privileges ------------------------------------------

DO $$
DECLARE
  migration_role text := COALESCE(NULLIF(current_setting('rolecall.migration_role', true), ''), 'postgres');
  api_roles text := 'anon, authenticated, service_role';
BEGIN
  EXECUTE format('GRANT USAGE ON SCHEMA public, auth, storage TO %s, %I', api_roles, migration_role);
  EXECUTE format('GRANT CREATE ON SCHEMA public TO %I', migration_role);
  EXECUTE format('GRANT ALL ON storage.buckets, storage.objects TO %s, %I', api_roles, migration_role);
END
$$;

-- Last: the session had to own these objects until now.
GRANT CREATE, USAGE ON SCHEMA storage TO supabase_storage_admin;
ALTER TABLE storage.buckets OWNER TO supabase_storage_admin;
ALTER TABLE storage.objects OWNER TO supabase_storage_admin;
ALTER FUNCTION storage.foldername(text) OWNER TO supabase_storage_admin;
