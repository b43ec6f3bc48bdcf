-- A notification with a time in the future is not counted
CREATE OR REPLACE FUNCTION communication.get_unread_counts(p_user_id uuid)
RETURNS TABLE (notification_type varchar, unread_count bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF (current_setting('role') = 'service_role' OR p_user_id = auth.uid()) IS NOT TRUE THEN
    RAISE EXCEPTION 'p_user_id must be your own id' USING ERRCODE = '42501';
  END IF;
  RETURN QUERY
  SELECT n.notification_type::varchar, count(*)
  FROM communication.notifications n
  WHERE n.user_id = p_user_id AND n.read_at IS NULL AND (n.created_at <= now() OR n.created_at IS NULL)
  GROUP BY n.notification_type
  ORDER BY n.notification_type;
END
$$;
