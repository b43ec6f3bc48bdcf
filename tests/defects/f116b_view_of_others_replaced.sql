-- F116b: a step replaces a view of its name without a word
-- caught by: tests/migrations/test_ownership.py::test_a_step_stops_at_a_view_of_somebody_else[4.2 view communication.view_notifications-another query]
-- caught by: tests/migrations/test_ownership.py::test_a_step_stops_at_a_view_of_somebody_else[4.2 view communication.view_notifications-not security_invoker]
-- instead of: migrations/phase_4_pending_views/4_2_view_notifications.sql
SET LOCAL lock_timeout = '5s';

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

COMMENT ON VIEW communication.view_notifications IS
  'User notifications with recipient profile information.';

REVOKE ALL ON communication.view_notifications FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT ON communication.view_notifications TO authenticated, service_role;
