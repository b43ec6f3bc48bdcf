-- F74: a step waits for a lock without a limit, and all later statements wait behind it
-- caught by: tests/migrations/test_locks.py::test_a_step_waits_at_most_five_seconds[4.2 view_notifications]
-- instead of: migrations/phase_4_pending_views/4_2_view_notifications.sql
CREATE OR REPLACE VIEW communication.view_notifications WITH (security_invoker = true) AS
SELECT
  n.id,
  n.user_id AS recipient_id,
  n.message,
  n.notification_type,
  n.metadata,
  n.read_at,
  n.created_at,
  n.updated_at,
  p.username AS recipient_username,
  p.email AS recipient_email,
  p.avatar_url AS recipient_avatar
FROM communication.notifications n
LEFT JOIN identity.profiles p ON p.id = n.user_id;
