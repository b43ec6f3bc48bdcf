-- 1.1: The services of an appointment, with their names, durations and prices.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';
-- No NOTICE for each IF EXISTS that finds nothing.
SET LOCAL client_min_messages = 'warning';
-- PostgreSQL then writes every name with its schema.
SET LOCAL search_path = '';

-- All locks first, or none: a script that waits for a lock while it holds others can deadlock with the application.
-- What this step creates is locked if it exists, and the tables of its foreign keys.
DO $$
DECLARE
  wanted CONSTANT json := '{
    "catalog.services": "SHARE ROW EXCLUSIVE",
    "identity.profiles": "SHARE ROW EXCLUSIVE",
    "organization.staff_profiles": "SHARE ROW EXCLUSIVE",
    "scheduling.appointment_services": "ACCESS EXCLUSIVE",
    "scheduling.appointments": "SHARE ROW EXCLUSIVE"
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
-- PostgreSQL refuses to replace a function or view with another head, but does not say which one: this does.
DO $$
DECLARE
  heads CONSTANT text[] := ARRAY[
    'scheduling.keep_appointment_service_in_its_salon() RETURNS trigger'
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

-- IF NOT EXISTS, below, would silently accept a table of another shape, and an index of another definition.
DO $$
DECLARE
  table_name CONSTANT text := 'scheduling.appointment_services';
  columns CONSTANT text[] := ARRAY[
    'id uuid NOT NULL DEFAULT gen_random_uuid()',
    'appointment_id uuid NOT NULL',
    'service_id uuid NOT NULL',
    'staff_id uuid',
    'service_name character varying(255)',
    'duration_minutes integer',
    'price_at_time numeric(10,2)',
    'created_at timestamp with time zone DEFAULT now()',
    'created_by_id uuid',
    'updated_at timestamp with time zone',
    'updated_by_id uuid'
  ];
  constraints CONSTANT text[] := ARRAY[
    'appointment_services_appointment_id_fkey: FOREIGN KEY (appointment_id) REFERENCES '
      'scheduling.appointments(id) ON DELETE CASCADE',
    'appointment_services_created_by_id_fkey: FOREIGN KEY (created_by_id) REFERENCES identity.profiles(id) ON '
      'DELETE SET NULL',
    'appointment_services_pkey: PRIMARY KEY (id)',
    'appointment_services_service_id_fkey: FOREIGN KEY (service_id) REFERENCES catalog.services(id) ON DELETE '
      'CASCADE',
    'appointment_services_staff_id_fkey: FOREIGN KEY (staff_id) REFERENCES organization.staff_profiles(id) ON '
      'DELETE SET NULL',
    'appointment_services_updated_by_id_fkey: FOREIGN KEY (updated_by_id) REFERENCES identity.profiles(id) ON '
      'DELETE SET NULL',
    'valid_appointment_service: CHECK (((appointment_id IS NOT NULL) AND (service_id IS NOT NULL)))',
    'valid_duration: CHECK (((duration_minutes IS NULL) OR (duration_minutes > 0)))',
    'valid_price: CHECK (((price_at_time IS NULL) OR (price_at_time >= (0)::numeric)))'
  ];
  indexes CONSTANT text[] := ARRAY[
    'CREATE INDEX idx_appointment_services_appointment_id ON scheduling.appointment_services USING btree '
      '(appointment_id)',
    'CREATE INDEX idx_appointment_services_created_at ON scheduling.appointment_services USING btree '
      '(created_at DESC)',
    'CREATE INDEX idx_appointment_services_service_id ON scheduling.appointment_services USING btree (service_id)',
    'CREATE INDEX idx_appointment_services_staff_id ON scheduling.appointment_services USING btree (staff_id)'
  ];

  -- The shape: from here on the same text for every table.
  difference record;
BEGIN
  WITH expected (kind, key, line) AS (
    SELECT 'column', to_char(place, 'FM00'), line FROM unnest(columns) WITH ORDINALITY AS c (line, place)
    UNION ALL
    SELECT 'constraint', split_part(line, ': ', 1), line FROM unnest(constraints) AS line
    UNION ALL
    SELECT 'index', substring(line FROM ' INDEX (\w+) '), line FROM unnest(indexes) AS line
  ), actual (kind, key, line) AS (
    SELECT 'column', to_char(row_number() OVER (ORDER BY a.attnum), 'FM00'),
      concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attnotnull THEN 'NOT NULL' END, 'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid))
    FROM pg_attribute AS a
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = to_regclass(table_name) AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT 'constraint', conname, format('%s: %s', conname, pg_get_constraintdef(oid))
    FROM pg_constraint
    WHERE conrelid = to_regclass(table_name) AND contype IN ('p', 'u', 'x', 'c', 'f')
    UNION ALL
    -- On whatever table.
    SELECT 'index', relname, COALESCE(pg_get_indexdef(indexrelid), 'not an index')
    FROM pg_class
    LEFT JOIN pg_index ON indexrelid = oid
    WHERE relnamespace = to_regnamespace(split_part(table_name, '.', 1))
      AND relname IN (SELECT key FROM expected WHERE kind = 'index')
  )
  SELECT
    kind,
    CASE kind WHEN 'index' THEN format('%s.%s', split_part(table_name, '.', 1), key) ELSE table_name END AS object,
    expected.line AS expected,
    actual.line AS actual
  INTO difference
  FROM expected
  FULL JOIN actual USING (kind, key)
  WHERE expected.line IS DISTINCT FROM actual.line
    -- This step creates a missing table, and a missing index.
    AND CASE kind WHEN 'index' THEN actual.line IS NOT NULL ELSE to_regclass(table_name) IS NOT NULL END
  ORDER BY kind, key
  LIMIT 1;

  IF FOUND THEN
    RAISE EXCEPTION '% exists in another shape: expected % "%", found "%"',
      difference.object, difference.kind, COALESCE(difference.expected, 'none'), COALESCE(difference.actual, 'none')
      USING ERRCODE = '42P16', HINT =
        'Nothing has been changed. Rename it if it is yours, or remove it if nobody needs it, and run this again.';
  END IF;
END
$$;

CREATE TABLE IF NOT EXISTS scheduling.appointment_services (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  appointment_id uuid NOT NULL REFERENCES scheduling.appointments (id) ON DELETE CASCADE,
  service_id uuid NOT NULL REFERENCES catalog.services (id) ON DELETE CASCADE,
  staff_id uuid REFERENCES organization.staff_profiles (id) ON DELETE SET NULL,

  -- The values at the time of the booking: the service may change its name and price later.
  service_name varchar(255),
  duration_minutes integer,
  price_at_time numeric(10, 2),

  created_at timestamptz DEFAULT now(),
  created_by_id uuid REFERENCES identity.profiles (id) ON DELETE SET NULL,
  updated_at timestamptz,
  updated_by_id uuid REFERENCES identity.profiles (id) ON DELETE SET NULL,

  -- Repeats NOT NULL. It is here because the plan has it.
  CONSTRAINT valid_appointment_service CHECK (appointment_id IS NOT NULL AND service_id IS NOT NULL),
  CONSTRAINT valid_duration CHECK (duration_minutes IS NULL OR duration_minutes > 0),
  CONSTRAINT valid_price CHECK (price_at_time IS NULL OR price_at_time >= 0)
);

CREATE INDEX IF NOT EXISTS idx_appointment_services_appointment_id
  ON scheduling.appointment_services (appointment_id);
CREATE INDEX IF NOT EXISTS idx_appointment_services_service_id
  ON scheduling.appointment_services (service_id);
CREATE INDEX IF NOT EXISTS idx_appointment_services_staff_id
  ON scheduling.appointment_services (staff_id);
CREATE INDEX IF NOT EXISTS idx_appointment_services_created_at
  ON scheduling.appointment_services (created_at DESC);

ALTER TABLE scheduling.appointment_services ENABLE ROW LEVEL SECURITY;

-- Reading collects the caller's appointments once for each query, and finds their services by the index. One subquery
-- collects all of them: each further one would evaluate the policies of appointments again.
DROP POLICY IF EXISTS "Users view appointment services for their appointments" ON scheduling.appointment_services;
CREATE POLICY "Users view appointment services for their appointments" ON scheduling.appointment_services
  FOR SELECT TO authenticated
  USING (appointment_id = ANY (ARRAY(
    SELECT a.id
    FROM scheduling.appointments a
    WHERE a.customer_id = (SELECT auth.uid())
      OR a.salon_id = ANY (ARRAY(
        SELECT sp.salon_id FROM organization.staff_profiles sp WHERE sp.user_id = (SELECT auth.uid())
        UNION ALL
        SELECT s.id FROM organization.salons s WHERE s.owner_id = (SELECT auth.uid())
      ))
  )));

-- A written row has one appointment: the policy finds it by its key.
DROP POLICY IF EXISTS "Staff can insert appointment services" ON scheduling.appointment_services;
CREATE POLICY "Staff can insert appointment services" ON scheduling.appointment_services
  FOR INSERT TO authenticated
  WITH CHECK (EXISTS (
    SELECT FROM scheduling.appointments a
    JOIN organization.staff_profiles sp ON sp.salon_id = a.salon_id
    WHERE a.id = appointment_services.appointment_id AND sp.user_id = (SELECT auth.uid())
  ));

DROP POLICY IF EXISTS "Staff can update appointment services" ON scheduling.appointment_services;
CREATE POLICY "Staff can update appointment services" ON scheduling.appointment_services
  FOR UPDATE TO authenticated
  USING (EXISTS (
    SELECT FROM scheduling.appointments a
    JOIN organization.staff_profiles sp ON sp.salon_id = a.salon_id
    WHERE a.id = appointment_services.appointment_id AND sp.user_id = (SELECT auth.uid())
  ))
  WITH CHECK (EXISTS (
    SELECT FROM scheduling.appointments a
    JOIN organization.staff_profiles sp ON sp.salon_id = a.salon_id
    WHERE a.id = appointment_services.appointment_id AND sp.user_id = (SELECT auth.uid())
  ));

-- Restrictive: permissive policies are combined with OR, so they cannot refuse anything.
DROP POLICY IF EXISTS "Anon cannot access appointment services" ON scheduling.appointment_services;
CREATE POLICY "Anon cannot access appointment services" ON scheduling.appointment_services
  AS RESTRICTIVE FOR ALL TO anon
  USING (false)
  WITH CHECK (false);

-- The update policy sees the old row or the new one, never both: a staff member of two salons would pass it twice.
-- SECURITY DEFINER: the function must see both appointments.
CREATE OR REPLACE FUNCTION scheduling.keep_appointment_service_in_its_salon() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF (SELECT a.salon_id FROM scheduling.appointments a WHERE a.id = NEW.appointment_id)
    IS DISTINCT FROM (SELECT a.salon_id FROM scheduling.appointments a WHERE a.id = OLD.appointment_id)
  THEN
    RAISE EXCEPTION 'an appointment service cannot move to another salon''s appointment'
      USING ERRCODE = '42501';
  END IF;
  RETURN NEW;
END
$$;

DROP TRIGGER IF EXISTS keep_appointment_service_in_its_salon ON scheduling.appointment_services;
CREATE TRIGGER keep_appointment_service_in_its_salon
  BEFORE UPDATE ON scheduling.appointment_services
  FOR EACH ROW
  WHEN (
    NEW.appointment_id IS DISTINCT FROM OLD.appointment_id
    AND row_security_active('scheduling.appointment_services')
  )
  EXECUTE FUNCTION scheduling.keep_appointment_service_in_its_salon();

-- Default privileges may have granted everything.
REVOKE ALL ON FUNCTION scheduling.keep_appointment_service_in_its_salon() FROM PUBLIC, anon, authenticated, service_role;
REVOKE ALL ON scheduling.appointment_services FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT, INSERT, UPDATE ON scheduling.appointment_services TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON scheduling.appointment_services TO service_role;

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
