-- 1.4: The audit log (who did what to which record), a view with the actors, and the function that writes it.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';

-- IF NOT EXISTS, below, would silently accept a table of another shape.
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
  difference record;
BEGIN
  SELECT expected, actual
  INTO difference
  FROM unnest(columns) WITH ORDINALITY AS e (expected, place)
  FULL JOIN (
    SELECT
      concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attnotnull THEN 'NOT NULL' END, 'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)),
      row_number() OVER (ORDER BY a.attnum)
    FROM pg_attribute a
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = to_regclass(table_name) AND a.attnum > 0 AND NOT a.attisdropped
  ) AS a (actual, place) USING (place)
  WHERE to_regclass(table_name) IS NOT NULL AND actual IS DISTINCT FROM expected
  ORDER BY place
  LIMIT 1;

  IF FOUND THEN
    RAISE EXCEPTION '% exists in another shape: expected column "%", found "%"',
      table_name, COALESCE(difference.expected, 'none'), COALESCE(difference.actual, 'none')
      USING ERRCODE = '42P16', HINT = 'Rename or remove that table, then run this step again.';
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
