-- F01: an index predicate uses now(), which PostgreSQL refuses (42P17): nothing after it is created
-- caught by: tests/migrations/test_apply.py::test_a_phase_applies_alone_except_3_after_1[phase 1-strict]
-- instead of: migrations/phase_1_critical_tables/1_4_audit_logs.sql
CREATE TABLE IF NOT EXISTS audit.audit_logs (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  entity_type varchar(100) NOT NULL,
  entity_id uuid,
  action varchar(100) NOT NULL,
  actor_id uuid NOT NULL REFERENCES identity.profiles (id) ON DELETE SET NULL,
  created_at timestamptz DEFAULT now(),
  old_values jsonb,
  new_values jsonb,
  change_summary text,
  reason text,
  source_system varchar(100),
  ip_address inet,
  user_agent text,
  metadata jsonb DEFAULT '{}',
  CONSTRAINT valid_action CHECK (entity_type IS NOT NULL AND action IS NOT NULL)
);

DROP INDEX IF EXISTS audit.idx_audit_logs_recent;
CREATE INDEX idx_audit_logs_recent
  ON audit.audit_logs (created_at DESC)
  WHERE created_at > now() - interval '30 days';
