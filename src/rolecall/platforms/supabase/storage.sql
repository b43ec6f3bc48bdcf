-- storage: buckets, objects, and what policies and clients call. Files themselves do not exist.

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

-- The folders and files at one level of a bucket, below the levels that the prefix names. A folder has no id.
CREATE FUNCTION storage.search(
  prefix text, bucketname text, limits integer DEFAULT 100, levels integer DEFAULT 1, offsets integer DEFAULT 0,
  search text DEFAULT '', sortcolumn text DEFAULT 'name', sortorder text DEFAULT 'asc'
)
RETURNS TABLE (
  name text, id uuid, updated_at timestamptz, created_at timestamptz, last_accessed_at timestamptz, metadata jsonb
)
LANGUAGE plpgsql STABLE
AS $$
#variable_conflict use_column
BEGIN
  IF sortcolumn <> 'name' OR lower(sortorder) NOT IN ('asc', 'desc') THEN
    RAISE EXCEPTION 'the stand-in for storage.search sorts by name, asc or desc, and not by "%" %', sortcolumn, sortorder
      USING ERRCODE = '0A000';
  END IF;
  RETURN QUERY
    WITH found AS (
      SELECT string_to_array(o.name, '/') AS path, o.*
      FROM storage.objects AS o
      WHERE o.bucket_id = bucketname AND starts_with(lower(o.name), lower(prefix || search))
    ), entries AS (
      SELECT DISTINCT f.path[levels] AS name, NULL::uuid AS id, NULL::timestamptz AS updated_at,
        NULL::timestamptz AS created_at, NULL::timestamptz AS last_accessed_at, NULL::jsonb AS metadata
      FROM found AS f
      WHERE cardinality(f.path) > levels
      UNION ALL
      SELECT f.path[levels], f.id, f.updated_at, f.created_at, f.last_accessed_at, f.metadata
      FROM found AS f
      WHERE cardinality(f.path) = levels
    )
    SELECT e.*
    FROM entries AS e
    ORDER BY e.id IS NOT NULL, CASE lower(sortorder) WHEN 'asc' THEN e.name END, e.name DESC
    LIMIT limits OFFSET offsets;
END
$$;
