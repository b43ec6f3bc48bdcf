-- F25: pages are ordered only by time, so rows with equal times repeat or are missing
-- caught by: tests/functions/test_get_notifications_page.py::test_pages_neither_repeat_nor_skip
-- caught by: tests/functions/test_get_notifications_page.py::test_pages_stay_the_same_when_rows_move_in_the_table
CREATE OR REPLACE FUNCTION communication.get_notifications_page(
  p_user_id uuid,
  p_limit integer DEFAULT 20,
  p_offset integer DEFAULT 0
) RETURNS TABLE (
  id uuid,
  user_id uuid,
  message text,
  notification_type varchar,
  read_at timestamptz,
  created_at timestamptz
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF (current_setting('role') = 'service_role' OR p_user_id = auth.uid()) IS NOT TRUE THEN
    RAISE EXCEPTION 'p_user_id must be your own id'
      USING ERRCODE = '42501';
  END IF;

  RETURN QUERY
  SELECT n.id, n.user_id, n.message, n.notification_type::varchar, n.read_at, n.created_at
  FROM communication.notifications n
  WHERE n.user_id = p_user_id
  ORDER BY n.created_at DESC
  LIMIT p_limit
  OFFSET p_offset;
END
$$;
