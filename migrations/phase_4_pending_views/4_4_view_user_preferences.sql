-- 4.4: view_user_preferences shows each preference in a profile's metadata, or its default.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';
SET LOCAL enorae.step = '4.4';

-- All locks first, or none: a script that waits for a lock while it holds others can deadlock with the application.
-- The view is locked if it exists.
DO $$
DECLARE
  wanted CONSTANT text[] := ARRAY[
    ARRAY['identity.view_user_preferences', 'ACCESS EXCLUSIVE']
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
-- PostgreSQL refuses to replace a function or view with another head, but does not say which one: this does.
DO $$
DECLARE
  heads CONSTANT text[] := ARRAY[
    'identity.view_user_preferences(user_id, username, email_notifications_enabled, push_notifications_enabled, '
      'sms_notifications_enabled, booking_auto_confirm, booking_reminder_minutes, marketing_newsletter_enabled, '
      'marketing_promotions_enabled, profile_public, show_reviews, preferences_updated_at)'
  ];

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

-- Users may store anything in metadata, so a text is cast only if it has the right form: otherwise one malformed
-- value would be an error in every query of the view. A malformed or missing value gives the default.
CREATE OR REPLACE VIEW identity.view_user_preferences WITH (security_invoker = true) AS
SELECT
  p.id AS user_id,
  p.username,
  COALESCE((input.booleans -> word.email)::boolean, true) AS email_notifications_enabled,
  COALESCE((input.booleans -> word.push)::boolean, true) AS push_notifications_enabled,
  COALESCE((input.booleans -> word.sms)::boolean, false) AS sms_notifications_enabled,
  COALESCE((input.booleans -> word.auto_confirm)::boolean, false) AS booking_auto_confirm,
  COALESCE(
    CASE WHEN word.reminder_minutes::bigint BETWEEN -2147483648 AND 2147483647 THEN word.reminder_minutes::integer END,
    1440
  ) AS booking_reminder_minutes,
  COALESCE((input.booleans -> word.newsletter)::boolean, false) AS marketing_newsletter_enabled,
  COALESCE((input.booleans -> word.promotions)::boolean, false) AS marketing_promotions_enabled,
  COALESCE((input.booleans -> word.profile_public)::boolean, false) AS profile_public,
  COALESCE((input.booleans -> word.show_reviews)::boolean, true) AS show_reviews,
  p.updated_at AS preferences_updated_at
FROM identity.profiles p
-- All texts that a cast to boolean accepts. A lookup cannot fail; a cast can.
CROSS JOIN (
  SELECT jsonb '{
    "true": true, "tru": true, "tr": true, "t": true, "yes": true, "ye": true, "y": true, "on": true, "1": true,
    "false": false, "fals": false, "fal": false, "fa": false, "f": false, "no": false, "n": false,
    "off": false, "of": false, "0": false
  }' AS booleans
) AS input
-- The single word of each value, without blanks around it; NULL if there is no word or more than one. The minutes
-- have at most 18 digits, which always fit a bigint.
CROSS JOIN LATERAL (
  SELECT
    substring(lower(p.metadata #>> '{preferences,notifications,email}') FROM '^\s*(\w+)\s*$') AS email,
    substring(lower(p.metadata #>> '{preferences,notifications,push}') FROM '^\s*(\w+)\s*$') AS push,
    substring(lower(p.metadata #>> '{preferences,notifications,sms}') FROM '^\s*(\w+)\s*$') AS sms,
    substring(lower(p.metadata #>> '{preferences,booking,auto_confirm}') FROM '^\s*(\w+)\s*$') AS auto_confirm,
    substring(p.metadata #>> '{preferences,booking,reminder_minutes}' FROM '^\s*([-+]?[0-9]{1,18})\s*$') AS reminder_minutes,
    substring(lower(p.metadata #>> '{preferences,marketing,newsletter}') FROM '^\s*(\w+)\s*$') AS newsletter,
    substring(lower(p.metadata #>> '{preferences,marketing,promotions}') FROM '^\s*(\w+)\s*$') AS promotions,
    substring(lower(p.metadata #>> '{preferences,privacy,profile_public}') FROM '^\s*(\w+)\s*$') AS profile_public,
    substring(lower(p.metadata #>> '{preferences,privacy,show_reviews}') FROM '^\s*(\w+)\s*$') AS show_reviews
) AS word;

COMMENT ON VIEW identity.view_user_preferences IS
  'Each user''s preferences from the profile''s metadata; a missing or malformed one shows its default.';

REVOKE ALL ON identity.view_user_preferences FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT ON identity.view_user_preferences TO authenticated, service_role;

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
