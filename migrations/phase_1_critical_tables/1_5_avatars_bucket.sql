-- 1.5: The private bucket for profile pictures, and the policies on its files.
-- A migration may add only policies and rows to the tables of storage.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';

-- An existing bucket with the right settings stays unchanged. If this step creates the bucket, it notes that in the
-- comment of schema audit, as the first step notes its grants: the rollback removes only what is noted.
DO $$
DECLARE
  note CONSTANT text := 'enorae phase 1: made bucket avatars';
  comment_before text := obj_description('audit'::regnamespace, 'pg_namespace');
  bucket record;
  difference text;
BEGIN
  SELECT id, name, public, file_size_limit INTO bucket
  FROM storage.buckets
  WHERE 'avatars' IN (id, name);

  IF NOT FOUND THEN
    INSERT INTO storage.buckets (id, name, public, file_size_limit)
    VALUES ('avatars', 'avatars', false, 5242880);  -- 5 MB

    IF note <> ALL (string_to_array(COALESCE(comment_before, ''), E'\n')) THEN
      EXECUTE format('COMMENT ON SCHEMA audit IS %L', concat_ws(E'\n', comment_before, note));
    END IF;
    RETURN;
  END IF;

  SELECT format('%s is %s, must be %s', setting, COALESCE(actual, 'not set'), expected) INTO difference
  FROM (VALUES
    (1, 'id', bucket.id, 'avatars'),
    (2, 'name', bucket.name, 'avatars'),
    (3, 'public', bucket.public::text, 'false'),
    (4, 'file_size_limit', bucket.file_size_limit::text, '5242880')
  ) AS compared (place, setting, actual, expected)
  WHERE actual IS DISTINCT FROM expected
  ORDER BY place
  LIMIT 1;

  IF FOUND THEN
    RAISE EXCEPTION 'the bucket avatars exists with other settings: %', difference
      USING ERRCODE = '55000', HINT = 'Change that setting in the dashboard, then run this step again.';
  END IF;
END
$$;

DROP POLICY IF EXISTS "Authenticated users can view avatars" ON storage.objects;
CREATE POLICY "Authenticated users can view avatars" ON storage.objects
  FOR SELECT TO authenticated
  USING (bucket_id = 'avatars' AND (SELECT auth.uid()) IS NOT NULL);

DROP POLICY IF EXISTS "Users can upload their own avatars" ON storage.objects;
CREATE POLICY "Users can upload their own avatars" ON storage.objects
  FOR INSERT TO authenticated
  WITH CHECK (bucket_id = 'avatars' AND (storage.foldername(name))[1] = (SELECT auth.uid())::text);

DROP POLICY IF EXISTS "Users can update their own avatars" ON storage.objects;
CREATE POLICY "Users can update their own avatars" ON storage.objects
  FOR UPDATE TO authenticated
  USING (bucket_id = 'avatars' AND (storage.foldername(name))[1] = (SELECT auth.uid())::text)
  WITH CHECK (bucket_id = 'avatars' AND (storage.foldername(name))[1] = (SELECT auth.uid())::text);

DROP POLICY IF EXISTS "Users can delete their own avatars" ON storage.objects;
CREATE POLICY "Users can delete their own avatars" ON storage.objects
  FOR DELETE TO authenticated
  USING (bucket_id = 'avatars' AND (storage.foldername(name))[1] = (SELECT auth.uid())::text);
