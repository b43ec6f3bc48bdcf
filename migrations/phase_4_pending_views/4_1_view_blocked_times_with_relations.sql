-- 4.1: view_blocked_times_with_relations shows blocked times with their staff member and appointment.

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
    'scheduling.view_blocked_times_with_relations(id, staff_id, appointment_id, reason, blocked_from, '
      'blocked_until, is_deleted, created_at, updated_at, staff_user_id, staff_username, staff_email, '
      'appointment_salon_id, appointment_customer_id, appointment_date)'
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

CREATE OR REPLACE VIEW scheduling.view_blocked_times_with_relations WITH (security_invoker = true) AS
SELECT
  bt.id,
  bt.staff_id,
  bt.appointment_id,
  bt.reason,
  bt.blocked_from,
  bt.blocked_until,
  bt.is_deleted,
  bt.created_at,
  bt.updated_at,
  sp.user_id AS staff_user_id,
  p.username AS staff_username,
  p.email AS staff_email,
  a.salon_id AS appointment_salon_id,
  a.customer_id AS appointment_customer_id,
  a.scheduled_date AS appointment_date
FROM scheduling.blocked_times bt
LEFT JOIN organization.staff_profiles sp ON sp.id = bt.staff_id
LEFT JOIN identity.profiles p ON p.id = sp.user_id
LEFT JOIN scheduling.appointments a ON a.id = bt.appointment_id
WHERE bt.is_deleted = false;

COMMENT ON VIEW scheduling.view_blocked_times_with_relations IS
  'Blocked times with related staff and appointment information.';

REVOKE ALL ON scheduling.view_blocked_times_with_relations FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT ON scheduling.view_blocked_times_with_relations TO authenticated, service_role;

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
