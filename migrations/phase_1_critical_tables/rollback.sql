-- Rolls phase 1 back: removes its tables, views, functions, storage policies, bucket and schema grants.
-- Run it in one transaction: all or nothing. To let it delete rows, run first: SET enorae.discard_data = 'on';

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';
-- A role that cannot see all rows gets an error, instead of counting too few.
SET LOCAL row_security = off;

-- Later phases depend on this one, or ran after it: roll back the last phase first.
DO $$
DECLARE
  last_phase integer;
BEGIN
  SELECT max(phase) INTO last_phase
  FROM (VALUES
    (2, to_regprocedure('communication.send_notification(uuid, text, varchar, jsonb)') IS NOT NULL),
    (2, to_regprocedure('communication.mark_notifications_read(uuid, uuid[])') IS NOT NULL),
    (2, to_regprocedure('communication.get_unread_count(uuid)') IS NOT NULL),
    (2, to_regprocedure('communication.get_unread_counts(uuid)') IS NOT NULL),
    (2, to_regprocedure('communication.get_notifications_page(uuid, integer, integer)') IS NOT NULL),
    (2, to_regprocedure('scheduling.calculate_business_hours(uuid, date)') IS NOT NULL),
    (2, to_regprocedure('catalog.calculate_duration_minutes(uuid[])') IS NOT NULL),
    (3, to_regclass('engagement.salon_reviews_with_counts_view') IS NOT NULL),
    (3, to_regclass('catalog.service_booking_rules') IS NOT NULL),
    -- Phase 1 creates the view, phase 3 its comment.
    (3, obj_description(to_regclass('audit.audit_logs_view'), 'pg_class') IS NOT NULL),
    (4, to_regclass('scheduling.view_blocked_times_with_relations') IS NOT NULL),
    (4, to_regclass('communication.view_notifications') IS NOT NULL),
    (4, to_regclass('identity.view_profile_metadata') IS NOT NULL),
    (4, to_regclass('identity.view_user_preferences') IS NOT NULL)
  ) AS later (phase, applied)
  WHERE applied;

  IF last_phase IS NOT NULL THEN
    RAISE EXCEPTION 'phase 1 cannot be rolled back while phase % is applied: roll back phase % first',
      last_phase, last_phase
      USING ERRCODE = '55000';
  END IF;
END
$$;

-- Lock before counting: no row can be added in between.
DO $$
DECLARE
  table_name text;
  rows bigint;
  losses text[] := '{}';
BEGIN
  FOREACH table_name IN ARRAY ARRAY[
    'scheduling.appointment_services',
    'communication.message_threads',
    'engagement.customer_favorites',
    'audit.audit_logs'
  ] LOOP
    CONTINUE WHEN to_regclass(table_name) IS NULL;
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', table_name);
    EXECUTE format('SELECT count(*) FROM %s', table_name) INTO rows;
    IF rows > 0 THEN
      losses := losses || format('%s: %s', table_name, rows);
    END IF;
  END LOOP;

  IF 'enorae phase 1: made bucket avatars'
    = ANY (string_to_array(obj_description(to_regnamespace('audit'), 'pg_namespace'), E'\n'))
  THEN
    PERFORM FROM storage.buckets WHERE id = 'avatars' FOR UPDATE;  -- uploads refer to it and must wait
    SELECT count(*) INTO rows FROM storage.objects WHERE bucket_id = 'avatars';
    IF rows > 0 THEN
      losses := losses || format('objects in bucket avatars: %s', rows);
    END IF;
  END IF;

  IF losses <> '{}' AND current_setting('enorae.discard_data', true) IS DISTINCT FROM 'on' THEN
    RAISE EXCEPTION E'rolling back phase 1 would delete rows:\n%', array_to_string(losses, E'\n')
      USING
        ERRCODE = '55000',
        HINT = 'To delete them, run first: SET enorae.discard_data = ''on''; Empty the bucket through the Storage API '
          'before that: SQL deletes the rows, but not the files.';
  END IF;
END
$$;

-- RESTRICT, the default: objects of others that depend on these must not be dropped.
DROP VIEW IF EXISTS engagement.customer_favorites_view;
DROP VIEW IF EXISTS audit.audit_logs_view;
DROP FUNCTION IF EXISTS audit.log_action(varchar, uuid, varchar, jsonb, jsonb, text);

DROP TABLE IF EXISTS audit.audit_logs;
DROP TABLE IF EXISTS engagement.customer_favorites;
DROP TABLE IF EXISTS communication.message_threads;
DROP TABLE IF EXISTS scheduling.appointment_services;

-- After the tables: their triggers call these functions.
DROP FUNCTION IF EXISTS communication.keep_thread_participants();
DROP FUNCTION IF EXISTS communication.soft_delete_thread();
DROP FUNCTION IF EXISTS scheduling.keep_appointment_service_in_its_salon();

DROP POLICY IF EXISTS "Authenticated users can view avatars" ON storage.objects;
DROP POLICY IF EXISTS "Users can upload their own avatars" ON storage.objects;
DROP POLICY IF EXISTS "Users can update their own avatars" ON storage.objects;
DROP POLICY IF EXISTS "Users can delete their own avatars" ON storage.objects;

-- The comment of schema audit notes what phase 1 added besides its own objects. This undoes and removes each note,
-- and keeps the rest of the comment.
DO $$
DECLARE
  note_start CONSTANT text := 'enorae phase 1: ';
  comment_before text := obj_description(to_regnamespace('audit'), 'pg_namespace');
  allowed_before text := current_setting('storage.allow_delete_query', true);
  note text;
  names text[];
BEGIN
  FOREACH note IN ARRAY COALESCE(string_to_array(comment_before, E'\n'), '{}') LOOP
    CONTINUE WHEN NOT starts_with(note, note_start);

    names := regexp_match(note, 'granted usage on schema (\w+) to (\w+)$');
    IF names IS NOT NULL THEN
      EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM %I', names[1], names[2]);
    ELSIF note = note_start || 'made bucket avatars' THEN
      -- Storage refuses a direct delete without this setting. It is on only for these two statements.
      PERFORM set_config('storage.allow_delete_query', 'true', true);
      DELETE FROM storage.objects WHERE bucket_id = 'avatars';
      DELETE FROM storage.buckets WHERE id = 'avatars';
      PERFORM set_config('storage.allow_delete_query', COALESCE(allowed_before, ''), true);
    END IF;
  END LOOP;

  IF comment_before LIKE '%' || note_start || '%' THEN
    EXECUTE format('COMMENT ON SCHEMA audit IS %L',
      NULLIF(regexp_replace(comment_before, '(^|\n)' || note_start || '[^\n]*', '', 'g'), ''));
  END IF;
END
$$;
