-- 4.2: view_notifications shows notifications with the profile of their recipient.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
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
  'Notifications with their recipient''s name, address and picture.';

REVOKE ALL ON communication.view_notifications FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT ON communication.view_notifications TO authenticated, service_role;
