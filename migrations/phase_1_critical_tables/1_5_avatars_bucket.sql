-- 1.5: The private bucket for profile pictures, and the policies on its files.
-- A migration may add only policies and rows to the tables of storage.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';
-- No NOTICE for each IF EXISTS that finds nothing.
SET LOCAL client_min_messages = 'warning';
SET LOCAL enorae.step = '1.5';

-- All locks first, or none: a script that waits for a lock while it holds others can deadlock with the application.
DO $$
DECLARE
  wanted CONSTANT text[] := ARRAY[
    ARRAY['storage.objects', 'ACCESS EXCLUSIVE']
  ];
  -- The locks: from here on the same text in every script that takes some.
  timeout_before CONSTANT text := current_setting('lock_timeout');
  deadline CONSTANT timestamptz := clock_timestamp() + timeout_before::interval;
  attempt_ends timestamptz;
  milliseconds_left integer;
  relation record;
BEGIN
  LOOP
    attempt_ends := clock_timestamp() + interval '200 ms';
    BEGIN
      FOR relation IN
        SELECT oid::regclass AS name, mode, relkind, relowner::regrole AS owner
        FROM (SELECT i, wanted[i][1], wanted[i][2] FROM generate_subscripts(wanted, 1) AS i) AS w (place, name, mode)
        JOIN pg_class ON oid = to_regclass(w.name)
        -- What this role cannot lock is somebody else's. The script stops at it below, or does not need the lock.
        WHERE CASE relkind
          WHEN 'v' THEN pg_has_role(relowner, 'USAGE') ELSE has_table_privilege(oid, 'UPDATE, DELETE, TRUNCATE')
        END
        ORDER BY place
      LOOP
        milliseconds_left := 1000 * EXTRACT(EPOCH FROM attempt_ends - clock_timestamp());
        PERFORM set_config('lock_timeout', GREATEST(milliseconds_left, 1)::text, true);
        IF relation.relkind = 'v' THEN
          -- Takes the lock and changes nothing. LOCK TABLE would also lock the tables of the view.
          EXECUTE format('ALTER VIEW %s OWNER TO %s', relation.name, relation.owner);
        ELSE
          EXECUTE format('LOCK TABLE %s IN %s MODE', relation.name, relation.mode);
        END IF;
      END LOOP;
      EXIT;
    EXCEPTION
      -- All locks of the attempt are free again: what waited behind them goes on.
      WHEN lock_not_available OR deadlock_detected THEN
        IF clock_timestamp() >= deadline THEN
          RAISE EXCEPTION 'canceling statement due to lock timeout: other transactions use %', relation.name
            USING ERRCODE = '55P03', HINT = 'Nothing has been changed. Run this again when they have ended.';
        END IF;
        PERFORM pg_sleep(0.05);
    END;
  END LOOP;
  PERFORM set_config('lock_timeout', timeout_before, true);
  -- The end of the locks.
END
$$;

-- Nothing of somebody else is replaced silently: this notes all definitions, and the end of the step compares them.
DO $$
DECLARE
  heads CONSTANT text[] := '{}';

  -- The note: from here on the same text in every step. The query gives the definitions of everything that exists.
  query CONSTANT text := $query$
    WITH namespace AS (
      SELECT oid, nspname AS name FROM pg_namespace
      WHERE nspname IN ('identity', 'organization', 'catalog', 'scheduling', 'communication', 'engagement', 'audit')
    ), named (class, oid, name, definition) AS (
      SELECT 'pg_proc'::regclass, oid, format('function %s', oid::regprocedure), pg_get_functiondef(oid)
      FROM pg_proc
      WHERE pronamespace IN (SELECT oid FROM namespace) AND prokind IN ('f', 'p')
      UNION ALL
      SELECT 'pg_class'::regclass, oid, oid::regclass::text,
        concat_ws(E'\n', 'row level security: ' || relrowsecurity, 'options: ' || array_to_string(reloptions, ', '),
          CASE relkind WHEN 'v' THEN pg_get_viewdef(oid) END)
      FROM pg_class
      WHERE relnamespace IN (SELECT oid FROM namespace) AND relkind IN ('r', 'v')
      UNION ALL
      SELECT NULL, NULL, format('trigger %I on %s', tgname, tgrelid::regclass),
        pg_get_triggerdef(t.oid) || CASE tgenabled WHEN 'O' THEN '' ELSE ', not enabled as usual' END
      FROM pg_trigger AS t
      JOIN pg_class AS c ON c.oid = tgrelid
      WHERE relnamespace IN (SELECT oid FROM namespace) AND NOT tgisinternal
      UNION ALL
      SELECT NULL, NULL, format('policy %I on %I.%I', policyname, schemaname, tablename),
        concat_ws(E'\n', concat_ws(' ', permissive, 'FOR', cmd, 'TO', array_to_string(roles, ', ')),
          'USING ' || qual, 'WITH CHECK ' || with_check)
      FROM pg_policies
      WHERE schemaname = 'storage' OR schemaname IN (SELECT name FROM namespace)
    )
    SELECT jsonb_object_agg(name, replace(definition, E'\r', ''))
    FROM (
      SELECT name, definition FROM named
      UNION ALL
      SELECT 'comment of ' || name, description
      FROM named
      JOIN pg_description ON objoid = oid AND classoid = class AND objsubid = 0
    ) AS noteworthy
  $query$;
  path_before CONSTANT text := current_setting('search_path');
  definitions jsonb;
  difference record;
BEGIN
  -- Outside of a transaction, SET LOCAL had no effect.
  IF COALESCE(current_setting('enorae.step', true), '') = '' THEN
    RAISE EXCEPTION 'a step runs in one transaction, and this session is in none'
      USING ERRCODE = '25P01', HINT = 'Run it with psql -1 -v ON_ERROR_STOP=1 -f.';
  END IF;

  -- With an empty search path, PostgreSQL writes every name with its schema.
  PERFORM set_config('search_path', '', true);

  SELECT w.name AS object, w.head AS expected, existing.head AS actual
  INTO difference
  FROM (SELECT head, split_part(head, '(', 1) FROM unnest(heads) AS head) AS w (head, name)
  CROSS JOIN LATERAL (
    SELECT format('%s(%s) RETURNS %s', oid::regproc, pg_get_function_arguments(oid), pg_get_function_result(oid))
    FROM pg_proc
    WHERE proname = split_part(w.name, '.', 2) AND pronamespace = to_regnamespace(split_part(w.name, '.', 1))
    UNION ALL
    SELECT format('%s(%s)', oid::regclass, string_agg(attname, ', ' ORDER BY attnum))
      || CASE relkind WHEN 'v' THEN '' ELSE ', not a view' END
    FROM pg_class
    LEFT JOIN pg_attribute ON attrelid = oid AND attnum > 0
    WHERE oid = to_regclass(w.name)
    GROUP BY oid
  ) AS existing (head)
  WHERE existing.head <> w.head
  ORDER BY w.name, existing.head
  LIMIT 1;

  IF difference.object IS NOT NULL THEN
    RAISE EXCEPTION '% exists in another form: expected "%", found "%"',
      difference.object, difference.expected, difference.actual
      USING
        ERRCODE = '42P16',
        HINT = 'Nothing has been changed. Rename it if it is yours, or remove it if nobody needs it. '
          'Then run step ' || current_setting('enorae.step') || ' again.';
  END IF;

  EXECUTE query INTO definitions;
  PERFORM set_config('enorae.query', query, true), set_config('enorae.noted', definitions::text, true);
  PERFORM set_config('search_path', path_before, true);
END
$$;

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

-- The comparison, the same text in every step: if an object existed and has another definition now, this step did not
-- create it, and it fails.
DO $$
DECLARE
  path_before CONSTANT text := current_setting('search_path');
  definitions jsonb;
  difference record;
BEGIN
  PERFORM set_config('search_path', '', true);
  EXECUTE current_setting('enorae.query') INTO definitions;

  SELECT name AS object, btrim(after_lines[number]) AS expected, btrim(before_lines[number]) AS actual
  INTO difference
  FROM jsonb_each_text(current_setting('enorae.noted')::jsonb) AS b (name, before)
  JOIN jsonb_each_text(definitions) AS a (name, after) USING (name)
  CROSS JOIN string_to_array(after, E'\n') AS after_lines
  CROSS JOIN string_to_array(before, E'\n') AS before_lines
  CROSS JOIN generate_series(1, GREATEST(cardinality(after_lines), cardinality(before_lines))) AS number
  WHERE after_lines[number] IS DISTINCT FROM before_lines[number]
  ORDER BY name, number
  LIMIT 1;

  IF difference.object IS NOT NULL THEN
    RAISE EXCEPTION '% exists in another form: expected "%", found "%"',
      difference.object, COALESCE(difference.expected, 'none'), COALESCE(difference.actual, 'none')
      USING
        ERRCODE = '42P16',
        HINT = 'Nothing has been changed. Rename it if it is yours, or remove it if nobody needs it. '
          'Then run step ' || current_setting('enorae.step') || ' again.';
  END IF;

  PERFORM set_config('enorae.query', '', true), set_config('enorae.noted', '', true);
  PERFORM set_config('search_path', path_before, true);
END
$$;
