-- F70: a negative limit or offset reaches PostgreSQL, whose error does not name the argument
-- caught by: tests/functions/test_get_notifications_page.py::test_a_negative_limit_or_offset_is_an_error
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
  ORDER BY n.created_at DESC NULLS LAST, n.id DESC
  LIMIT p_limit
  OFFSET p_offset;
END
$$;
