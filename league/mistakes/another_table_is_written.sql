-- Marking notifications as read also puts the user's threads into the archive
CREATE OR REPLACE FUNCTION communication.mark_notifications_read(p_user_id uuid, p_notification_ids uuid[] DEFAULT NULL)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_count integer;
BEGIN
  IF (current_setting('role') = 'service_role' OR p_user_id = auth.uid()) IS NOT TRUE THEN
    RAISE EXCEPTION 'p_user_id must be your own id' USING ERRCODE = '42501';
  END IF;
  UPDATE communication.message_threads SET is_archived = true WHERE recipient_id = p_user_id;
  UPDATE communication.notifications n
  SET read_at = now(), updated_at = now()
  WHERE n.user_id = p_user_id
    AND n.read_at IS NULL
    AND (p_notification_ids IS NULL OR n.id = ANY (p_notification_ids));
  GET DIAGNOSTICS v_count = ROW_COUNT;
  RETURN v_count;
EXCEPTION
  WHEN OTHERS THEN
    RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'Failed to mark notifications as read: ' || SQLERRM;
END
$$;
