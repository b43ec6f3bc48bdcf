-- F24: the two functions that wrap errors keep the message and lose the SQLSTATE
-- caught by: tests/functions/test_send_notification.py::test_an_unknown_recipient
-- caught by: tests/functions/test_send_notification.py::test_a_custom_sqlstate_is_passed_on
-- caught by: tests/functions/test_mark_notifications_read.py::test_a_constraint_violation_is_passed_on
-- caught by: tests/functions/test_mark_notifications_read.py::test_the_customers_notifications_as[other_customer]
CREATE OR REPLACE FUNCTION communication.send_notification(
  p_recipient_id uuid,
  p_message text,
  p_notification_type varchar,
  p_metadata jsonb DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_sent record;
BEGIN
  IF p_recipient_id IS NULL THEN
    RAISE EXCEPTION 'recipient_id is required';
  ELSIF p_message IS NULL OR p_message = '' THEN
    RAISE EXCEPTION 'message is required';
  ELSIF p_notification_type IS NULL THEN
    RAISE EXCEPTION 'notification_type is required';
  END IF;

  INSERT INTO communication.notifications (user_id, message, notification_type, metadata, created_at)
  VALUES (p_recipient_id, p_message, p_notification_type, COALESCE(p_metadata, '{}'), now())
  RETURNING * INTO v_sent;

  RETURN jsonb_build_object(
    'id', v_sent.id,
    'recipient_id', v_sent.user_id,
    'message', v_sent.message,
    'notification_type', v_sent.notification_type,
    'read_at', v_sent.read_at,
    'sent_at', v_sent.created_at
  );

EXCEPTION
  WHEN OTHERS THEN
    RAISE EXCEPTION 'Failed to send notification: %', SQLERRM;
END
$$;

CREATE OR REPLACE FUNCTION communication.mark_notifications_read(
  p_user_id uuid,
  p_notification_ids uuid[] DEFAULT NULL
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_count integer;
BEGIN
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
    RAISE EXCEPTION 'Failed to mark notifications as read: %', SQLERRM;
END
$$;
