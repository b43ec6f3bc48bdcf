-- Checks that phase 2's seven functions are there as the steps make them. Reads only; silent when all is well.
-- After a deliberate change to a body, its md5 here is the one that the error reports as found.

DO $$
DECLARE
  problems text;
BEGIN
  WITH
    expected (name, arguments, result, language, volatility, body, comment) AS (VALUES
      (
        'communication.send_notification',
        'p_recipient_id uuid, p_message text, p_notification_type character varying, p_metadata jsonb DEFAULT NULL::jsonb',
        'jsonb', 'plpgsql', 'volatile', 'e54f2aba7ba0ea31e3cd159f5ac5d8d8',
        'Writes a notification for the recipient and returns it as JSON.'
      ),
      (
        'communication.mark_notifications_read',
        'p_user_id uuid, p_notification_ids uuid[] DEFAULT NULL::uuid[]',
        'integer', 'plpgsql', 'volatile', '9d825d18dc18c34f381010f4cec34dac',
        'Marks one''s unread notifications, all or those listed, as read and returns how many it changed.'
      ),
      (
        'communication.get_unread_count',
        'p_user_id uuid',
        'bigint', 'plpgsql', 'stable', '2672f26316e424ce30fe83b5da8f12a9',
        'How many of one''s notifications are unread.'
      ),
      (
        'communication.get_unread_counts',
        'p_user_id uuid',
        'TABLE(notification_type character varying, unread_count bigint)', 'plpgsql', 'stable', '4186c4111af9ec5327dbe9a85d53605b',
        'How many of one''s notifications are unread, by type.'
      ),
      (
        'communication.get_notifications_page',
        'p_user_id uuid, p_limit integer DEFAULT 20, p_offset integer DEFAULT 0',
        'TABLE(id uuid, user_id uuid, message text, notification_type character varying, '
          || 'read_at timestamp with time zone, created_at timestamp with time zone)',
        'plpgsql', 'stable', '7acb206d66cb6ddc152e779928bf2574',
        'A page of one''s notifications, newest first.'
      ),
      (
        'scheduling.calculate_business_hours',
        'p_salon_id uuid, p_date date',
        'TABLE(day_name character varying, is_open boolean, start_time time without time zone, '
          || 'end_time time without time zone, break_start time without time zone, '
          || 'break_end time without time zone, total_working_minutes integer)',
        'sql', 'stable', '201c31d9ce48dfd75c0341e39ca40090',
        'A salon''s opening hours on a date and the minutes worked, without the break.'
      ),
      (
        'catalog.calculate_duration_minutes',
        'p_service_ids uuid[]',
        'integer', 'sql', 'stable', '80dce30c0ffe9a09b7c1e89cadf47669',
        'How many minutes the listed active services take together.'
      )
    ),
    -- By name, so that a second function of the name, which would make a call ambiguous, is found too.
    actual AS (
      SELECT format('%s.%s', p.pronamespace::regnamespace, p.proname) AS name, l.lanname AS language, p.*
      FROM pg_proc AS p
      JOIN pg_language AS l ON l.oid = p.prolang
    ),
    checks (name, property, expected, actual) AS (
      SELECT name, 'functions of this name', '1', count(actual.oid)::text
      FROM expected
      LEFT JOIN actual USING (name)
      GROUP BY name

      UNION ALL
      SELECT e.name, property.*
      FROM expected AS e
      JOIN actual AS f USING (name)
      CROSS JOIN LATERAL (VALUES
        ('arguments', e.arguments, pg_get_function_arguments(f.oid)),
        ('result', e.result, pg_get_function_result(f.oid)),
        ('language', e.language, f.language),
        ('volatility', e.volatility, CASE f.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END),
        ('security', 'definer', CASE WHEN f.prosecdef THEN 'definer' ELSE 'invoker' END),
        ('settings', 'search_path=pg_catalog, pg_temp', array_to_string(f.proconfig, ', ')),
        ('on a NULL argument', 'called', CASE WHEN f.proisstrict THEN 'not called' ELSE 'called' END),
        ('md5 of the body', e.body, md5(f.prosrc)),
        ('comment', e.comment, obj_description(f.oid, 'pg_proc')),
        ('grants', 'EXECUTE to authenticated, EXECUTE to service_role', (
          SELECT string_agg(
            format('%s to %s%s', acl.privilege_type, COALESCE(r.rolname, 'PUBLIC'),
              CASE WHEN acl.is_grantable THEN ' with grant option' END),
            ', ' ORDER BY r.rolname
          )
          FROM aclexplode(COALESCE(f.proacl, acldefault('f', f.proowner))) AS acl
          LEFT JOIN pg_roles AS r ON r.oid = acl.grantee
          WHERE acl.grantee = 0 OR r.rolname IN ('anon', 'authenticated', 'service_role')
        ))
      ) AS property (name, expected, actual)
    )
  SELECT string_agg(
    format('- %s: %s: expected %s, found %s', name, property, expected, COALESCE(actual, 'none')),
    E'\n' ORDER BY name, property
  )
  INTO problems
  FROM checks
  WHERE actual IS DISTINCT FROM expected;

  IF problems IS NOT NULL THEN
    RAISE EXCEPTION E'phase 2 is not as it should be:\n%', problems;
  END IF;
END
$$;
