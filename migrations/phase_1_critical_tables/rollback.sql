-- Takes phase 1 back: its tables, views, functions, storage policies, bucket and schema grants.
-- All or nothing, so run it in one transaction. To let it destroy rows, say first: SET enorae.discard_data = 'on';

-- Fail soon rather than queue behind a long transaction and hold the application up.
SET LOCAL lock_timeout = '5s';
-- A role that sees only some rows fails here, rather than count too few.
SET LOCAL row_security = off;

-- Later phases build on this one, or were run after it: the last one goes first.
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
    -- The view is phase 1's; its comment is phase 3's.
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

-- Locked before they are counted: no row can come in between.
DO $$
DECLARE
  doomed text;
  rows bigint;
  losses text[] := '{}';
BEGIN
  FOREACH doomed IN ARRAY ARRAY[
    'scheduling.appointment_services',
    'communication.message_threads',
    'engagement.customer_favorites',
    'audit.audit_logs'
  ] LOOP
    CONTINUE WHEN to_regclass(doomed) IS NULL;
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', doomed);
    EXECUTE format('SELECT count(*) FROM %s', doomed) INTO rows;
    IF rows > 0 THEN
      losses := losses || format('%s: %s', doomed, rows);
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
    RAISE EXCEPTION E'rolling back phase 1 would destroy rows:\n%', array_to_string(losses, E'\n')
      USING
        ERRCODE = '55000',
        HINT = 'SET enorae.discard_data = ''on'' to destroy them. Empty the bucket through the Storage API before: '
          'SQL takes the rows and leaves the files.';
  END IF;
END
$$;

-- RESTRICT, the default: what somebody else has built on these is not ours to take along.
DROP VIEW IF EXISTS engagement.customer_favorites_view;
DROP VIEW IF EXISTS audit.audit_logs_view;
DROP FUNCTION IF EXISTS audit.log_action(varchar, uuid, varchar, jsonb, jsonb, text);

DROP TABLE IF EXISTS audit.audit_logs;
DROP TABLE IF EXISTS engagement.customer_favorites;
DROP TABLE IF EXISTS communication.message_threads;
DROP TABLE IF EXISTS scheduling.appointment_services;

-- After the tables, whose triggers call them.
DROP FUNCTION IF EXISTS communication.keep_thread_participants();
DROP FUNCTION IF EXISTS communication.soft_delete_thread();
DROP FUNCTION IF EXISTS scheduling.keep_appointment_service_in_its_salon();

DROP POLICY IF EXISTS "Authenticated users can view avatars" ON storage.objects;
DROP POLICY IF EXISTS "Users can upload their own avatars" ON storage.objects;
DROP POLICY IF EXISTS "Users can update their own avatars" ON storage.objects;
DROP POLICY IF EXISTS "Users can delete their own avatars" ON storage.objects;

-- What phase 1 added beside its own objects stands noted in the comment of schema audit. Each note is
-- undone and taken out; what else the comment says stays.
DO $$
DECLARE
  note_start CONSTANT text := 'enorae phase 1: ';
  comment_before text := obj_description(to_regnamespace('audit'), 'pg_namespace');
  allowed_before text := current_setting('storage.allow_delete_query', true);
  note text;
  granted text[];
BEGIN
  FOREACH note IN ARRAY COALESCE(string_to_array(comment_before, E'\n'), '{}') LOOP
    CONTINUE WHEN NOT starts_with(note, note_start);

    granted := regexp_match(note, 'granted usage on schema (\w+) to (\w+)$');
    IF granted IS NOT NULL THEN
      EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM %I', granted[1], granted[2]);
    ELSIF note = note_start || 'made bucket avatars' THEN
      -- Storage refuses a direct delete unless told, and is told only for these two.
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
