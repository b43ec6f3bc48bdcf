-- 2.1.1: send_notification writes one notification and returns it as JSON.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION communication.send_notification(
  p_recipient_id uuid,
  p_message text,
  p_notification_type varchar,
  p_metadata jsonb DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_notification pg_catalog.jsonb;
BEGIN
  IF p_recipient_id IS NULL THEN
    RAISE EXCEPTION 'recipient_id is required';
  END IF;

  IF p_message IS NULL OR p_message = '' THEN
    RAISE EXCEPTION 'message is required';
  END IF;

  IF p_notification_type IS NULL THEN
    RAISE EXCEPTION 'notification_type is required';
  END IF;

  INSERT INTO communication.notifications AS n (user_id, message, notification_type, metadata, created_at)
  VALUES (p_recipient_id, p_message, p_notification_type, COALESCE(p_metadata, '{}'), now())
  RETURNING jsonb_build_object(
    'id', n.id,
    'recipient_id', n.user_id,
    'message', n.message,
    'notification_type', n.notification_type,
    'read_at', n.read_at,
    'sent_at', n.created_at
  )
  INTO v_notification;

  RETURN v_notification;

EXCEPTION
  WHEN OTHERS THEN
    -- The SQLSTATE is kept: a client tells an unknown recipient (23503) from a missing argument by it.
    RAISE EXCEPTION USING
      ERRCODE = SQLSTATE,
      MESSAGE = 'Failed to send notification: ' || SQLERRM;
END
$$;

COMMENT ON FUNCTION communication.send_notification(uuid, text, varchar, jsonb) IS
  'Writes a notification for the recipient and returns it as JSON.';

REVOKE ALL ON FUNCTION communication.send_notification(uuid, text, varchar, jsonb)
  FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION communication.send_notification(uuid, text, varchar, jsonb)
  TO authenticated, service_role;
