-- F03: phase 3 needs a table of phase 1, and does not say so if it is missing
-- caught by: tests/migrations/test_apply.py::test_phase_3_alone_asks_for_phase_1
-- instead of: migrations/phase_3_views_and_rules/3_1_audit_logs_view.sql
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
