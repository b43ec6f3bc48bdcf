-- 3.1: audit_logs_view. Step 1.4 creates it; this step repairs it and adds a comment.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';

DO $$
BEGIN
  IF to_regclass('audit.audit_logs') IS NULL THEN
    RAISE EXCEPTION 'audit.audit_logs does not exist: apply phase 1 first'
      USING ERRCODE = '42P01';
  END IF;
END
$$;

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
