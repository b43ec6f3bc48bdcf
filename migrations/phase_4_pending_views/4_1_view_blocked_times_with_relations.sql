-- 4.1: view_blocked_times_with_relations shows blocked times with their staff member and appointment.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE VIEW scheduling.view_blocked_times_with_relations WITH (security_invoker = true) AS
SELECT
  bt.id,
  bt.staff_id,
  bt.appointment_id,
  bt.reason,
  bt.blocked_from,
  bt.blocked_until,
  bt.is_deleted,
  bt.created_at,
  bt.updated_at,
  sp.user_id AS staff_user_id,
  p.username AS staff_username,
  p.email AS staff_email,
  a.salon_id AS appointment_salon_id,
  a.customer_id AS appointment_customer_id,
  a.scheduled_date AS appointment_date
FROM scheduling.blocked_times bt
LEFT JOIN organization.staff_profiles sp ON sp.id = bt.staff_id
LEFT JOIN identity.profiles p ON p.id = sp.user_id
LEFT JOIN scheduling.appointments a ON a.id = bt.appointment_id
WHERE bt.is_deleted = false;

COMMENT ON VIEW scheduling.view_blocked_times_with_relations IS
  'Blocked times that are not deleted, with the columns of staff member and appointment that the reader may see.';

REVOKE ALL ON scheduling.view_blocked_times_with_relations FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT ON scheduling.view_blocked_times_with_relations TO authenticated, service_role;
