-- Checks that the database has everything that the migrations need. It only reads. Run it after the baseline.
-- It is silent if nothing is missing; otherwise an error names each missing object in a line.
DO $$
DECLARE
  missing text;
BEGIN
  WITH required_column (table_name, column_name, family) AS (
    -- The family is the type that the migrations need: 'text' and 'number' mean any type of that category,
    -- NULL means any type.
    VALUES
      ('identity.profiles', 'id', 'uuid'),
      ('identity.profiles', 'username', NULL),
      ('identity.profiles', 'email', NULL),
      ('identity.profiles', 'full_name', NULL),
      ('identity.profiles', 'avatar_url', NULL),
      ('identity.profiles', 'metadata', 'jsonb'),
      ('identity.profiles', 'created_at', NULL),
      ('identity.profiles', 'updated_at', NULL),
      ('organization.salons', 'id', 'uuid'),
      ('organization.salons', 'owner_id', 'uuid'),
      ('organization.salons', 'name', NULL),
      ('organization.salons', 'slug', NULL),
      ('organization.salons', 'description', NULL),
      ('organization.salons', 'image_url', NULL),
      ('organization.staff_profiles', 'id', 'uuid'),
      ('organization.staff_profiles', 'salon_id', 'uuid'),
      ('organization.staff_profiles', 'user_id', 'uuid'),
      ('catalog.services', 'id', 'uuid'),
      ('catalog.services', 'duration_range', 'interval'),
      ('catalog.services', 'is_active', 'boolean'),
      ('scheduling.appointments', 'id', 'uuid'),
      ('scheduling.appointments', 'salon_id', 'uuid'),
      ('scheduling.appointments', 'customer_id', 'uuid'),
      ('scheduling.appointments', 'scheduled_date', NULL),
      ('scheduling.operating_hours', 'salon_id', 'uuid'),
      ('scheduling.operating_hours', 'day_of_week', 'number'),
      ('scheduling.operating_hours', 'is_open', 'boolean'),
      ('scheduling.operating_hours', 'is_active', 'boolean'),
      ('scheduling.operating_hours', 'start_time', 'time without time zone'),
      ('scheduling.operating_hours', 'end_time', 'time without time zone'),
      ('scheduling.operating_hours', 'break_start', 'time without time zone'),
      ('scheduling.operating_hours', 'break_end', 'time without time zone'),
      ('scheduling.blocked_times', 'id', NULL),
      ('scheduling.blocked_times', 'staff_id', 'uuid'),
      ('scheduling.blocked_times', 'appointment_id', 'uuid'),
      ('scheduling.blocked_times', 'reason', NULL),
      ('scheduling.blocked_times', 'blocked_from', NULL),
      ('scheduling.blocked_times', 'blocked_until', NULL),
      ('scheduling.blocked_times', 'is_deleted', 'boolean'),
      ('scheduling.blocked_times', 'created_at', NULL),
      ('scheduling.blocked_times', 'updated_at', NULL),
      ('communication.notifications', 'id', 'uuid'),
      ('communication.notifications', 'user_id', 'uuid'),
      ('communication.notifications', 'message', 'text'),
      ('communication.notifications', 'notification_type', 'text'),
      ('communication.notifications', 'metadata', 'jsonb'),
      ('communication.notifications', 'read_at', 'timestamp with time zone'),
      ('communication.notifications', 'created_at', 'timestamp with time zone'),
      ('communication.notifications', 'updated_at', 'timestamp with time zone'),
      ('engagement.salon_reviews', 'id', NULL),
      ('engagement.salon_reviews', 'salon_id', NULL),
      ('engagement.salon_reviews', 'customer_id', NULL),
      ('engagement.salon_reviews', 'rating', 'number'),
      ('engagement.salon_reviews', 'content', NULL),
      ('engagement.salon_reviews', 'status', NULL),
      ('engagement.salon_reviews', 'created_at', NULL),
      ('engagement.salon_reviews', 'updated_at', NULL),
      ('storage.buckets', 'id', 'text'),
      ('storage.buckets', 'name', 'text'),
      ('storage.buckets', 'public', 'boolean'),
      ('storage.buckets', 'file_size_limit', 'number'),
      ('storage.objects', 'bucket_id', 'text'),
      ('storage.objects', 'name', 'text')
  ),
  required_function (signature, result) AS (
    VALUES
      ('auth.uid()', 'uuid'),
      ('auth.role()', 'text'),
      ('storage.foldername(text)', 'text[]')
  ),
  -- audit is empty so far, so no required table or function names it.
  required_schema (name) AS (
    SELECT 'audit'
    UNION
    SELECT split_part(table_name, '.', 1) FROM required_column
    UNION
    SELECT split_part(signature, '.', 1) FROM required_function
  ),
  required_table (name) AS (
    SELECT DISTINCT table_name FROM required_column
  ),
  found_table AS (
    SELECT c.oid, n.nspname || '.' || c.relname AS name
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p')
  ),
  found_column AS (
    SELECT t.name AS table_name, a.attname AS column_name, y.typcategory, format_type(a.atttypid, NULL) AS type
    FROM found_table t
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type y ON y.oid = a.atttypid
  ),
  found_function AS (
    SELECT
      format('%s.%s(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes)) AS signature,
      format_type(p.prorettype, NULL) AS result
    FROM pg_proc p
    JOIN pg_namespace n ON n.oid = p.pronamespace
  ),
  problem (kind, line) AS (
    SELECT 1, format('role %s', name)
    FROM unnest(ARRAY['anon', 'authenticated', 'service_role']) AS required_role (name)
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)

    UNION ALL
    SELECT 2, format('schema %s', name)
    FROM required_schema
    WHERE NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = name)

    UNION ALL
    SELECT 3, format('table %s', name)
    FROM required_table
    WHERE name NOT IN (SELECT name FROM found_table)

    -- A missing table is reported once, not again for each column.
    UNION ALL
    SELECT 4, format('column %s.%s', table_name, column_name)
      || CASE WHEN f.type IS NULL THEN '' ELSE format(': is %s, must be %s', f.type, r.family) END
    FROM required_column r
    LEFT JOIN found_column f USING (table_name, column_name)
    WHERE table_name IN (SELECT name FROM found_table)
      AND CASE r.family
        WHEN 'text' THEN f.typcategory IS DISTINCT FROM 'S'
        WHEN 'number' THEN f.typcategory IS DISTINCT FROM 'N'
        ELSE f.type IS DISTINCT FROM COALESCE(r.family, f.type) OR f.type IS NULL
      END

    UNION ALL
    SELECT 5, format('function %s', signature)
      || CASE WHEN f.result IS NULL THEN '' ELSE format(': returns %s, must return %s', f.result, r.result) END
    FROM required_function r
    LEFT JOIN found_function f USING (signature)
    WHERE f.result IS DISTINCT FROM r.result
  )
  SELECT string_agg(line, E'\n' ORDER BY kind, line) INTO missing FROM problem;

  IF missing IS NOT NULL THEN
    RAISE EXCEPTION E'the migrations need what this database does not have:\n%', missing
      USING ERRCODE = '42704', HINT = 'Complete the baseline. Nothing has been changed yet.';
  END IF;
END
$$;
