-- Rolls phase 2 back: removes its seven functions, and nothing else. Run twice, it changes nothing.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';

-- Later phases are rolled back first.
DO $$
DECLARE
  last_phase integer;
BEGIN
  SELECT max(phase) INTO last_phase
  FROM (VALUES
    (3, to_regclass('engagement.salon_reviews_with_counts_view') IS NOT NULL),
    (3, to_regclass('catalog.service_booking_rules') IS NOT NULL),
    -- Phase 1 creates the view, phase 3 its comment.
    (3, obj_description(to_regclass('audit.audit_logs_view'), 'pg_class') IS NOT NULL),
    (4, to_regclass('scheduling.view_blocked_times_with_relations') IS NOT NULL),
    (4, to_regclass('communication.view_notifications') IS NOT NULL),
    (4, to_regclass('identity.view_profile_metadata') IS NOT NULL),
    (4, to_regclass('identity.view_user_preferences') IS NOT NULL)
  ) AS later (phase, applied)
  WHERE applied;

  IF last_phase IS NOT NULL THEN
    RAISE EXCEPTION 'phase 2 cannot be rolled back while phase % is applied: roll back phase % first',
      last_phase, last_phase
      USING ERRCODE = '55000';
  END IF;
END
$$;

-- RESTRICT, the default: objects of others that depend on these must not be dropped.
DROP FUNCTION IF EXISTS catalog.calculate_duration_minutes(uuid[]);
DROP FUNCTION IF EXISTS scheduling.calculate_business_hours(uuid, date);
DROP FUNCTION IF EXISTS communication.get_notifications_page(uuid, integer, integer);
DROP FUNCTION IF EXISTS communication.get_unread_counts(uuid);
DROP FUNCTION IF EXISTS communication.get_unread_count(uuid);
DROP FUNCTION IF EXISTS communication.mark_notifications_read(uuid, uuid[]);
DROP FUNCTION IF EXISTS communication.send_notification(uuid, text, varchar, jsonb);
