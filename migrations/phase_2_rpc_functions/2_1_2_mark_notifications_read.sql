-- 2.1.2: mark_notifications_read sets read_at on a user's unread notifications and returns their number.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION communication.mark_notifications_read(
  p_user_id uuid,
  p_notification_ids uuid[] DEFAULT NULL
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_count integer;
BEGIN
  -- The service is who the session is, not who its token says. IS NOT TRUE: where either id is NULL nobody is
  -- "oneself", and that is a refusal too.
  IF (current_setting('role') = 'service_role' OR p_user_id = auth.uid()) IS NOT TRUE THEN
    RAISE EXCEPTION 'p_user_id must be your own id'
      USING ERRCODE = '42501';
  END IF;

  UPDATE communication.notifications n
  SET read_at = now(), updated_at = now()
  WHERE n.user_id = p_user_id
    AND n.read_at IS NULL
    AND (p_notification_ids IS NULL OR n.id = ANY (p_notification_ids));

  GET DIAGNOSTICS v_count = ROW_COUNT;
  RETURN v_count;

EXCEPTION
  WHEN OTHERS THEN
    RAISE EXCEPTION USING
      ERRCODE = SQLSTATE,
      MESSAGE = 'Failed to mark notifications as read: ' || SQLERRM;
END
$$;

COMMENT ON FUNCTION communication.mark_notifications_read(uuid, uuid[]) IS
  'Marks the user''s unread notifications, all or the listed ones, as read and returns their number.';

REVOKE ALL ON FUNCTION communication.mark_notifications_read(uuid, uuid[])
  FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION communication.mark_notifications_read(uuid, uuid[])
  TO authenticated, service_role;
