-- F72: send_notification names a type as short as can be, and is given a stranger's temporary one
-- caught by: tests/functions/test_every_function.py::test_a_temporary_type_changes_nothing
CREATE OR REPLACE FUNCTION communication.send_notification(
  p_recipient_id uuid,
  p_message text,
  p_notification_type varchar,
  p_metadata jsonb DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
  v_notification jsonb;
BEGIN
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
END
$$;
