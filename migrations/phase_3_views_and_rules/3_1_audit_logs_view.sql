-- 3.1: audit_logs_view. Step 1.4 creates it; this step repairs it and adds a comment.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';
SET LOCAL enorae.step = '3.1';

DO $$
BEGIN
  IF to_regclass('audit.audit_logs') IS NULL THEN
    RAISE EXCEPTION 'audit.audit_logs does not exist: apply phase 1 first'
      USING ERRCODE = '42P01';
  END IF;
END
$$;

-- All locks first, or none: a script that waits for a lock while it holds others can deadlock with the application.
-- The view is locked if it exists.
DO $$
DECLARE
  wanted CONSTANT text[] := ARRAY[
    ARRAY['audit.audit_logs_view', 'ACCESS EXCLUSIVE']
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
          RAISE EXCEPTION 'no lock on % within %: other transactions use it', relation.name, timeout_before
            USING ERRCODE = '55P03', HINT = 'Nothing has been changed. Run this again when they have ended.';
        END IF;
        PERFORM pg_sleep(0.05);
    END;
  END LOOP;
  PERFORM set_config('lock_timeout', timeout_before, true);
  -- The end of the locks.
END
$$;

-- The guard: nothing of somebody else is replaced silently. It is the same text in every step. The first call compares
-- the heads of functions and views that this step creates with what exists, and notes all definitions. The last call
-- compares these: what existed and has another definition now was not created by this step, and the step fails.
CREATE OR REPLACE PROCEDURE pg_temp.guard(heads text[] DEFAULT NULL)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  schemas CONSTANT text[] := '{identity, organization, catalog, scheduling, communication, engagement, audit}';
  noted CONSTANT jsonb := NULLIF(current_setting('enorae.noted', true), '');
  definitions jsonb;
  object text;
  expected text;
  actual text;
BEGIN
  -- Outside of a transaction, SET LOCAL had no effect.
  IF COALESCE(current_setting('enorae.step', true), '') = '' THEN
    RAISE EXCEPTION 'a step runs in one transaction, and this session is in none'
      USING ERRCODE = '25P01', HINT = 'Run it with psql -1 -v ON_ERROR_STOP=1 -f.';
  END IF;

  -- PostgreSQL itself refuses to replace a function or view with another head, but does not always name it.
  SELECT name, wanted.head, existing.head
  INTO object, expected, actual
  FROM unnest(heads) AS wanted (head)
  CROSS JOIN split_part(wanted.head, '(', 1) AS name
  JOIN (
    SELECT oid::regproc::text,
      format('%s(%s) RETURNS %s', oid::regproc, pg_get_function_arguments(oid), pg_get_function_result(oid))
    FROM pg_proc
    WHERE pronamespace::regnamespace::text = ANY (schemas)
    UNION ALL
    SELECT oid::regclass::text,
      format('%s(%s)', oid::regclass, string_agg(attname, ', ' ORDER BY attnum))
        || CASE relkind WHEN 'v' THEN '' ELSE ', not a view' END
    FROM pg_class
    LEFT JOIN pg_attribute ON attrelid = oid AND attnum > 0
    WHERE relnamespace::regnamespace::text = ANY (schemas)
    GROUP BY oid, relkind
  ) AS existing (name, head) USING (name)
  WHERE existing.head <> wanted.head
  ORDER BY name, existing.head
  LIMIT 1;

  WITH named (class, oid, name, definition) AS (
    SELECT 'pg_proc'::regclass, oid, format('function %s', oid::regprocedure), pg_get_functiondef(oid)
    FROM pg_proc
    WHERE pronamespace::regnamespace::text = ANY (schemas) AND prokind IN ('f', 'p')
    UNION ALL
    SELECT 'pg_class'::regclass, oid, oid::regclass::text,
      concat_ws(E'\n', 'row level security: ' || relrowsecurity, 'options: ' || array_to_string(reloptions, ', '),
        CASE relkind WHEN 'v' THEN pg_get_viewdef(oid) END)
    FROM pg_class
    WHERE relnamespace::regnamespace::text = ANY (schemas) AND relkind IN ('r', 'v')
    UNION ALL
    SELECT NULL, NULL, format('trigger %I on %s', tgname, tgrelid::regclass),
      pg_get_triggerdef(t.oid) || CASE tgenabled WHEN 'O' THEN '' ELSE ', not enabled as usual' END
    FROM pg_trigger AS t
    JOIN pg_class AS c ON c.oid = tgrelid
    WHERE relnamespace::regnamespace::text = ANY (schemas) AND NOT tgisinternal
    UNION ALL
    SELECT NULL, NULL, format('policy %I on %I.%I', policyname, schemaname, tablename),
      concat_ws(E'\n', concat_ws(' ', permissive, 'FOR', cmd, 'TO', array_to_string(roles, ', ')),
        'USING ' || qual, 'WITH CHECK ' || with_check)
    FROM pg_policies
    WHERE schemaname = ANY (schemas || ARRAY['storage'])
  )
  SELECT jsonb_object_agg(name, replace(definition, E'\r', ''))
  INTO definitions
  FROM (
    SELECT name, definition FROM named
    UNION ALL
    SELECT 'comment of ' || name, description
    FROM named
    JOIN pg_description ON objoid = oid AND classoid = class AND objsubid = 0
  ) AS noteworthy (name, definition);

  IF object IS NULL THEN
    SELECT name, after_lines[number], before_lines[number]
    INTO object, expected, actual
    FROM jsonb_each_text(noted) AS b (name, before)
    JOIN jsonb_each_text(definitions) AS a (name, after) USING (name)
    CROSS JOIN string_to_array(after, E'\n') AS after_lines
    CROSS JOIN string_to_array(before, E'\n') AS before_lines
    CROSS JOIN generate_series(1, GREATEST(cardinality(after_lines), cardinality(before_lines))) AS number
    WHERE after_lines[number] IS DISTINCT FROM before_lines[number]
    ORDER BY name, number
    LIMIT 1;
  END IF;

  IF object IS NOT NULL THEN
    RAISE EXCEPTION '% exists in another form: expected "%", found "%"',
      object, COALESCE(btrim(expected), 'none'), COALESCE(btrim(actual), 'none')
      USING
        ERRCODE = '42P16',
        HINT = 'Nothing has been changed. Rename it if it is yours, or remove it if nobody needs it. '
          'Then run step ' || current_setting('enorae.step') || ' again.';
  END IF;

  IF noted IS NULL THEN
    PERFORM set_config('enorae.noted', definitions::text, true);
  ELSE -- The last call leaves nothing in the session.
    PERFORM set_config('enorae.noted', '', true);
    DROP PROCEDURE pg_temp.guard(text[]);
  END IF;
END
$$;

CALL pg_temp.guard(ARRAY[
  'audit.audit_logs_view(id, entity_type, entity_id, action, actor_id, created_at, old_values, new_values, '
    'reason, actor_username, actor_email)'
]);

CREATE OR REPLACE VIEW audit.audit_logs_view WITH (security_invoker = true) AS
SELECT
  al.id,
  al.entity_type,
  al.entity_id,
  al.action,
  al.actor_id,
  al.created_at,
  al.old_values,
  al.new_values,
  al.reason,
  p.username AS actor_username,
  p.email AS actor_email
FROM audit.audit_logs al
LEFT JOIN identity.profiles p ON p.id = al.actor_id
ORDER BY al.created_at DESC;

COMMENT ON VIEW audit.audit_logs_view IS
  'The audit log, newest first, with the name and address of the actor if the reader may see that profile.';

REVOKE ALL ON audit.audit_logs_view FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT ON audit.audit_logs_view TO authenticated, service_role;

CALL pg_temp.guard();
