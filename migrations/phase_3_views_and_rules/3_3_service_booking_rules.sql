-- 3.3: service_booking_rules has the rules of a salon for the booking of each service.

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
    "catalog.service_booking_rules": "ACCESS EXCLUSIVE",
    "catalog.services": "SHARE ROW EXCLUSIVE",
    "organization.salons": "SHARE ROW EXCLUSIVE"
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

-- IF NOT EXISTS, below, would silently accept a table of another shape, and an index of another definition.
DO $$
DECLARE
  table_name CONSTANT text := 'catalog.service_booking_rules';
  columns CONSTANT text[] := ARRAY[
    'id uuid NOT NULL DEFAULT gen_random_uuid()',
    'service_id uuid NOT NULL',
    'salon_id uuid NOT NULL',
    'min_notice_minutes integer DEFAULT 0',
    'max_advance_days integer DEFAULT 90',
    'requires_deposit boolean DEFAULT false',
    'deposit_amount numeric(10,2)',
    'max_concurrent_bookings integer',
    'bookable_by_staff_only boolean DEFAULT false',
    'auto_confirm boolean DEFAULT true',
    'created_at timestamp with time zone DEFAULT now()',
    'updated_at timestamp with time zone'
  ];
  constraints CONSTANT text[] := ARRAY[
    'service_booking_rules_pkey: PRIMARY KEY (id)',
    'service_booking_rules_salon_id_fkey: FOREIGN KEY (salon_id) REFERENCES organization.salons(id) ON DELETE '
      'CASCADE',
    'service_booking_rules_service_id_fkey: FOREIGN KEY (service_id) REFERENCES catalog.services(id) ON DELETE '
      'CASCADE',
    'valid_concurrent: CHECK (((max_concurrent_bookings IS NULL) OR (max_concurrent_bookings > 0)))',
    'valid_days: CHECK ((max_advance_days > 0))',
    'valid_deposit: CHECK (((deposit_amount IS NULL) OR (deposit_amount > (0)::numeric)))',
    'valid_minutes: CHECK ((min_notice_minutes >= 0))'
  ];
  indexes CONSTANT text[] := ARRAY[
    'CREATE INDEX idx_service_booking_rules_salon ON catalog.service_booking_rules USING btree (salon_id)',
    'CREATE INDEX idx_service_booking_rules_service ON catalog.service_booking_rules USING btree (service_id)',
    'CREATE UNIQUE INDEX idx_service_booking_rules_unique ON catalog.service_booking_rules USING btree '
      '(service_id, salon_id)'
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

CREATE TABLE IF NOT EXISTS catalog.service_booking_rules (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  service_id uuid NOT NULL REFERENCES catalog.services (id) ON DELETE CASCADE,
  salon_id uuid NOT NULL REFERENCES organization.salons (id) ON DELETE CASCADE,

  min_notice_minutes integer DEFAULT 0,
  max_advance_days integer DEFAULT 90,
  requires_deposit boolean DEFAULT false,
  deposit_amount numeric(10, 2),
  max_concurrent_bookings integer,

  bookable_by_staff_only boolean DEFAULT false,
  auto_confirm boolean DEFAULT true,

  created_at timestamptz DEFAULT now(),
  updated_at timestamptz,

  CONSTRAINT valid_minutes CHECK (min_notice_minutes >= 0),
  CONSTRAINT valid_days CHECK (max_advance_days > 0),
  CONSTRAINT valid_concurrent CHECK (max_concurrent_bookings IS NULL OR max_concurrent_bookings > 0),
  CONSTRAINT valid_deposit CHECK (deposit_amount IS NULL OR deposit_amount > 0)
);

CREATE UNIQUE INDEX IF NOT EXISTS idx_service_booking_rules_unique
  ON catalog.service_booking_rules (service_id, salon_id);
CREATE INDEX IF NOT EXISTS idx_service_booking_rules_salon
  ON catalog.service_booking_rules (salon_id);
CREATE INDEX IF NOT EXISTS idx_service_booking_rules_service
  ON catalog.service_booking_rules (service_id);

ALTER TABLE catalog.service_booking_rules ENABLE ROW LEVEL SECURITY;

-- Each policy collects the caller's salons once for each query: then the index on salon_id finds the rows.
DROP POLICY IF EXISTS "Salon staff can view their booking rules" ON catalog.service_booking_rules;
CREATE POLICY "Salon staff can view their booking rules" ON catalog.service_booking_rules
  FOR SELECT TO authenticated
  USING (salon_id = ANY (ARRAY(
    SELECT s.id FROM organization.salons s WHERE s.owner_id = (SELECT auth.uid())
    UNION ALL
    SELECT sp.salon_id FROM organization.staff_profiles sp WHERE sp.user_id = (SELECT auth.uid())
  )));

DROP POLICY IF EXISTS "Salon owners can manage their booking rules" ON catalog.service_booking_rules;
CREATE POLICY "Salon owners can manage their booking rules" ON catalog.service_booking_rules
  FOR INSERT TO authenticated
  WITH CHECK (salon_id = ANY (ARRAY(
    SELECT s.id FROM organization.salons s WHERE s.owner_id = (SELECT auth.uid())
  )));

DROP POLICY IF EXISTS "Salon owners can update their booking rules" ON catalog.service_booking_rules;
CREATE POLICY "Salon owners can update their booking rules" ON catalog.service_booking_rules
  FOR UPDATE TO authenticated
  USING (salon_id = ANY (ARRAY(
    SELECT s.id FROM organization.salons s WHERE s.owner_id = (SELECT auth.uid())
  )))
  WITH CHECK (salon_id = ANY (ARRAY(
    SELECT s.id FROM organization.salons s WHERE s.owner_id = (SELECT auth.uid())
  )));

DROP POLICY IF EXISTS "Salon owners can delete their booking rules" ON catalog.service_booking_rules;
CREATE POLICY "Salon owners can delete their booking rules" ON catalog.service_booking_rules
  FOR DELETE TO authenticated
  USING (salon_id = ANY (ARRAY(
    SELECT s.id FROM organization.salons s WHERE s.owner_id = (SELECT auth.uid())
  )));

-- Restrictive: it works with any grant, and with any permissive policy that is added later.
DROP POLICY IF EXISTS "Anon cannot access booking rules" ON catalog.service_booking_rules;
CREATE POLICY "Anon cannot access booking rules" ON catalog.service_booking_rules
  AS RESTRICTIVE FOR ALL TO anon
  USING (false)
  WITH CHECK (false);

REVOKE ALL ON catalog.service_booking_rules FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON catalog.service_booking_rules TO authenticated, service_role;

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
