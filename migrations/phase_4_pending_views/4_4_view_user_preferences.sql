-- 4.4: view_user_preferences shows each preference in a profile's metadata, or its default.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';
-- PostgreSQL then writes every name with its schema.
SET LOCAL search_path = '';

-- Outside of a transaction, psql may go on after an error: then each statement from here on only reads.
SET default_transaction_read_only = on;

-- Nothing of somebody else is replaced silently: this notes all definitions, and the end of the step compares them.
-- PostgreSQL refuses to replace a function or view with another head, but does not say which one: this does.
DO $$
DECLARE
  heads CONSTANT text[] := ARRAY[
    'identity.view_user_preferences(user_id, username, email_notifications_enabled, push_notifications_enabled, '
      'sms_notifications_enabled, booking_auto_confirm, booking_reminder_minutes, marketing_newsletter_enabled, '
      'marketing_promotions_enabled, profile_public, show_reviews, preferences_updated_at)'
  ];

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
  'User preferences extracted from profile metadata for easy querying.';

REVOKE ALL ON identity.view_user_preferences FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT ON identity.view_user_preferences TO authenticated, service_role;

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
