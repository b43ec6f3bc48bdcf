-- The view of the audit trail ends after 1,000 entries
CREATE OR REPLACE VIEW audit.audit_logs_view WITH (security_invoker = true) AS
SELECT
  al.id, al.entity_type, al.entity_id, al.action, al.actor_id, al.created_at, al.old_values, al.new_values, al.reason,
  p.username AS actor_username, p.email AS actor_email
FROM audit.audit_logs al
LEFT JOIN identity.profiles p ON p.id = al.actor_id
ORDER BY al.created_at DESC
LIMIT 1000;
