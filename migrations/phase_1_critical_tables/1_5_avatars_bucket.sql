-- 1.5: The private bucket for profile pictures, and the policies on its files.
-- A migration may add only policies and rows to the tables of storage.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';
-- No NOTICE for each IF EXISTS that finds nothing.
SET LOCAL client_min_messages = 'warning';
-- PostgreSQL then writes every name with its schema.
SET LOCAL search_path = '';

-- All locks first, or none: a script that waits for a lock while it holds others can deadlock with the application.
DO $$
DECLARE
  wanted CONSTANT json := '{
    "storage.objects": "ACCESS EXCLUSIVE"
  }';
  -- The locks: from here on the same text in every script that takes some.
  lock_timeout CONSTANT text := current_setting('lock_timeout');
  deadline CONSTANT timestamptz := clock_timestamp() + lock_timeout::interval;
  relation record;
BEGIN
  -- An attempt ends before PostgreSQL looks for a deadlock: that is after 1 s, and no list has 20 locks.
  PERFORM set_config('lock_timeout', '50ms', true);
  LOOP
    BEGIN
      FOR relation IN
        SELECT oid::regclass AS name, CASE relkind
          -- Takes the lock and changes nothing. LOCK TABLE would also lock the tables of the view.
          WHEN 'v' THEN format('ALTER VIEW %s OWNER TO %s', oid::regclass, relowner::regrole)
          ELSE format('LOCK TABLE %s IN %s MODE', oid::regclass, mode)
        END AS statement
        FROM json_each_text(wanted) AS w (name, mode)
        JOIN pg_class ON oid = to_regclass(w.name)
        -- What this role cannot lock is somebody else's. The script stops at it below, or does not need the lock.
        WHERE CASE relkind
          WHEN 'v' THEN pg_has_role(relowner, 'USAGE') ELSE has_table_privilege(oid, 'UPDATE, DELETE, TRUNCATE')
        END
        ORDER BY w.name
      LOOP
        EXECUTE relation.statement;
      END LOOP;
      EXIT;
    EXCEPTION
      -- All locks of the attempt are free again: what waited behind them goes on.
      WHEN lock_not_available THEN
        IF clock_timestamp() >= deadline THEN
          RAISE EXCEPTION 'canceling statement due to lock timeout: other transactions use %', relation.name
            USING ERRCODE = '55P03', HINT = 'Nothing has been changed. Run this again when they have ended.';
        END IF;
        PERFORM pg_sleep(0.05);
    END;
  END LOOP;
  PERFORM set_config('lock_timeout', lock_timeout, true);
  -- The end of the locks.
END
$$;

-- Outside of a transaction, psql may go on after an error: then each statement from here on only reads.
SET default_transaction_read_only = on;

-- Nothing of somebody else is replaced silently: this notes all definitions, and the end of the step compares them.
DO $$
DECLARE
  heads CONSTANT text[] := '{}';

  -- The note: from here on the same text in every step. For each object that exists: its head, then its definition.
  query CONSTANT text := $query$
    WITH object (class, oid, name, definition) AS (
      SELECT tableoid, oid, oid::regprocedure::text, concat_ws(E'\n',
        format('%s(%s) RETURNS %s', oid::regproc, pg_get_function_arguments(oid), pg_get_function_result(oid)),
        CASE WHEN prokind IN ('f', 'p') THEN pg_get_functiondef(oid) END)
      FROM pg_proc
      WHERE pronamespace <> 'pg_catalog'::regnamespace
      UNION ALL
      SELECT tableoid, oid, oid::regclass::text, concat_ws(E'\n',
        CASE relkind WHEN 'v' THEN format('%s(%s)', oid::regclass, (
          SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = oid AND attnum > 0
        )) ELSE 'not a view' END,
        'row level security: ' || relrowsecurity,
        'options: ' || (
          SELECT string_agg(option_name || '=' || CASE WHEN option_name ~ '^security_' THEN 'true' ELSE option_value END, ', ')
          FROM pg_options_to_table(reloptions)  -- on is true, and off is the default
          WHERE CASE WHEN option_name ~ '^security_' THEN option_value::boolean ELSE true END
        ),
        CASE relkind WHEN 'v' THEN pg_get_viewdef(oid) END)
      FROM pg_class
      WHERE relnamespace NOT IN ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace)
      UNION ALL
      SELECT tableoid, oid, format('trigger %I on %s', tgname, tgrelid::regclass),
        pg_get_triggerdef(oid) || CASE tgenabled WHEN 'O' THEN '' ELSE ', not enabled as usual' END
      FROM pg_trigger
      WHERE NOT tgisinternal
      UNION ALL
      SELECT p.tableoid, p.oid, format('policy %I on %s', polname, polrelid::regclass), concat_ws(E'\n',
        concat_ws(' ', permissive, 'FOR', cmd, 'TO', array_to_string(roles, ', ')),
        'USING ' || qual, 'WITH CHECK ' || with_check)
      FROM pg_policy AS p
      JOIN pg_policies ON policyname = polname AND format('%I.%I', schemaname, tablename) = polrelid::regclass::text
    )
    SELECT jsonb_object_agg(note.name, replace(note.definition, E'\r', ''))
    FROM object
    LEFT JOIN pg_description ON objoid = oid AND classoid = class AND objsubid = 0
    CROSS JOIN LATERAL (
      VALUES (name, definition), ('comment of ' || name, description)
    ) AS note (name, definition)
    WHERE object.name ~ '\m(identity|organization|catalog|scheduling|communication|engagement|audit|storage)\.'
      AND note.definition IS NOT NULL
  $query$;
  definitions jsonb;
  difference record;
BEGIN
  IF current_setting('transaction_read_only') = 'on' THEN
    RAISE EXCEPTION 'a step runs in one transaction, and this session is in none'
      USING ERRCODE = '25P01', HINT = 'Run it with psql -1 -v ON_ERROR_STOP=1 -f.';
  END IF;

  EXECUTE query INTO definitions;
  PERFORM set_config('enorae.query', query, true), set_config('enorae.noted', definitions::text, true);

  SELECT name, head AS expected, split_part(definition, E'\n', 1) AS actual
  INTO difference
  FROM unnest(heads) AS head
  JOIN jsonb_each_text(definitions) AS d (name, definition) ON split_part(name, '(', 1) = split_part(head, '(', 1)
  WHERE split_part(definition, E'\n', 1) <> head
  ORDER BY head, name
  LIMIT 1;

  IF FOUND THEN
    RAISE EXCEPTION '% exists in another form: expected "%", found "%"',
      difference.name, difference.expected, difference.actual
      USING ERRCODE = '42P16', HINT =
        'Nothing has been changed. Rename it if it is yours, or remove it if nobody needs it, and run this again.';
  END IF;
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
-- create it, and it fails. A policy or trigger that is dropped and created again loses its comment: that is one too.
DO $$
DECLARE
  definitions jsonb;
  difference record;
BEGIN
  EXECUTE current_setting('enorae.query') INTO definitions;

  SELECT b.name, btrim(expected) AS expected, btrim(actual) AS actual
  INTO difference
  FROM jsonb_each_text(current_setting('enorae.noted')::jsonb) AS b (name, before)
  LEFT JOIN jsonb_each_text(definitions) AS a (name, after) ON a.name = b.name
  CROSS JOIN unnest(string_to_array(after, E'\n'), string_to_array(before, E'\n'))
    WITH ORDINALITY AS line (expected, actual, number)
  WHERE before IS DISTINCT FROM after AND expected IS DISTINCT FROM actual
  ORDER BY b.name, number
  LIMIT 1;

  IF FOUND THEN
    RAISE EXCEPTION '% exists in another form: expected "%", found "%"',
      difference.name, COALESCE(difference.expected, 'none'), COALESCE(difference.actual, 'none')
      USING ERRCODE = '42P16', HINT =
        'Nothing has been changed. Rename it if it is yours, or remove it if nobody needs it, and run this again.';
  END IF;
END
$$;

RESET default_transaction_read_only;
