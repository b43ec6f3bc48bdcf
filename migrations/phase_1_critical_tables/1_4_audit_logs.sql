-- 1.4: The audit log (who did what to which record), a view with the actors, and the function that writes it.

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
    "audit.audit_logs": "ACCESS EXCLUSIVE",
    "audit.audit_logs_view": "ACCESS EXCLUSIVE",
    "identity.profiles": "SHARE ROW EXCLUSIVE"
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
    'audit.audit_logs_view(id, entity_type, entity_id, action, actor_id, created_at, old_values, new_values, '
      'reason, actor_username, actor_email)',
    'audit.log_action(p_entity_type character varying, p_entity_id uuid, p_action character varying, '
      'p_old_values jsonb DEFAULT NULL::jsonb, p_new_values jsonb DEFAULT NULL::jsonb, '
      'p_reason text DEFAULT NULL::text) RETURNS uuid'
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
  table_name CONSTANT text := 'audit.audit_logs';
  columns CONSTANT text[] := ARRAY[
    'id uuid NOT NULL DEFAULT gen_random_uuid()',
    'entity_type character varying(100) NOT NULL',
    'entity_id uuid',
    'action character varying(100) NOT NULL',
    'actor_id uuid',
    'created_at timestamp with time zone DEFAULT now()',
    'old_values jsonb',
    'new_values jsonb',
    'change_summary text',
    'reason text',
    'source_system character varying(100)',
    'ip_address inet',
    'user_agent text',
    'metadata jsonb DEFAULT ''{}''::jsonb'
  ];
  constraints CONSTANT text[] := ARRAY[
    'audit_logs_actor_id_fkey: FOREIGN KEY (actor_id) REFERENCES identity.profiles(id) ON DELETE SET NULL',
    'audit_logs_pkey: PRIMARY KEY (id)',
    'valid_action: CHECK ((((entity_type)::text ~ ''\S''::text) AND ((action)::text ~ ''\S''::text)))'
  ];
  indexes CONSTANT text[] := ARRAY[
    'CREATE INDEX idx_audit_logs_action ON audit.audit_logs USING btree (action)',
    'CREATE INDEX idx_audit_logs_actor ON audit.audit_logs USING btree (actor_id)',
    'CREATE INDEX idx_audit_logs_created_at ON audit.audit_logs USING btree (created_at DESC)',
    'CREATE INDEX idx_audit_logs_entity ON audit.audit_logs USING btree (entity_type, entity_id)',
    'CREATE INDEX idx_audit_logs_recent ON audit.audit_logs USING btree (entity_type, created_at DESC)'
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

CREATE TABLE IF NOT EXISTS audit.audit_logs (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  entity_type varchar(100) NOT NULL,
  entity_id uuid,
  action varchar(100) NOT NULL,

  -- Nullable: the entry outlives the profile of its actor.
  actor_id uuid REFERENCES identity.profiles (id) ON DELETE SET NULL,
  created_at timestamptz DEFAULT now(),

  old_values jsonb,
  new_values jsonb,
  change_summary text,
  reason text,

  source_system varchar(100),
  ip_address inet,
  user_agent text,
  metadata jsonb DEFAULT '{}',

  CONSTRAINT valid_action CHECK (entity_type ~ '\S' AND action ~ '\S')
);

CREATE INDEX IF NOT EXISTS idx_audit_logs_entity
  ON audit.audit_logs (entity_type, entity_id);
CREATE INDEX IF NOT EXISTS idx_audit_logs_actor
  ON audit.audit_logs (actor_id);
CREATE INDEX IF NOT EXISTS idx_audit_logs_created_at
  ON audit.audit_logs (created_at DESC);
CREATE INDEX IF NOT EXISTS idx_audit_logs_action
  ON audit.audit_logs (action);
-- "Recent" is an order here, not a condition: an index predicate cannot depend on the current time.
CREATE INDEX IF NOT EXISTS idx_audit_logs_recent
  ON audit.audit_logs (entity_type, created_at DESC);

ALTER TABLE audit.audit_logs ENABLE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS "Authenticated users can view audit logs" ON audit.audit_logs;
CREATE POLICY "Authenticated users can view audit logs" ON audit.audit_logs
  FOR SELECT TO authenticated
  USING ((SELECT auth.uid()) IS NOT NULL);

DROP POLICY IF EXISTS "System can insert audit logs" ON audit.audit_logs;
CREATE POLICY "System can insert audit logs" ON audit.audit_logs
  FOR INSERT TO authenticated
  WITH CHECK (actor_id = (SELECT auth.uid()));

-- Restrictive: permissive policies are combined with OR, so they cannot refuse anything.
DROP POLICY IF EXISTS "Anon cannot access audit logs" ON audit.audit_logs;
CREATE POLICY "Anon cannot access audit logs" ON audit.audit_logs
  AS RESTRICTIVE FOR ALL TO anon
  USING (false)
  WITH CHECK (false);

-- Default privileges may have granted everything. Entries are permanent: not even the service changes them.
REVOKE ALL ON audit.audit_logs FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT, INSERT ON audit.audit_logs TO authenticated, service_role;

-- security_invoker: the view shows a caller no more than the tables do.
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

REVOKE ALL ON audit.audit_logs_view FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT ON audit.audit_logs_view TO authenticated, service_role;

-- The caller passes the action, never the actor: the actor is the subject of the token.
CREATE OR REPLACE FUNCTION audit.log_action(
  p_entity_type varchar,
  p_entity_id uuid,
  p_action varchar,
  p_old_values jsonb DEFAULT NULL,
  p_new_values jsonb DEFAULT NULL,
  p_reason text DEFAULT NULL
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_log_id pg_catalog.uuid;
BEGIN
  IF auth.uid() IS NULL THEN
    RAISE EXCEPTION 'an audit entry needs an actor, and this session has no subject'
      USING ERRCODE = '42501';
  END IF;

  INSERT INTO audit.audit_logs (
    entity_type, entity_id, action, actor_id, old_values, new_values, reason, source_system
  ) VALUES (
    p_entity_type, p_entity_id, p_action, auth.uid(), p_old_values, p_new_values, p_reason, 'application'
  )
  RETURNING id INTO v_log_id;

  RETURN v_log_id;
END
$$;

REVOKE ALL ON FUNCTION audit.log_action(varchar, uuid, varchar, jsonb, jsonb, text)
  FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION audit.log_action(varchar, uuid, varchar, jsonb, jsonb, text)
  TO authenticated, service_role;

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
