-- 2.1.4: get_unread_counts counts a user's unread notifications by type.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION communication.get_unread_counts(p_user_id uuid)
RETURNS TABLE (notification_type varchar, unread_count bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  -- The service is who the session is, not who its token says. IS NOT TRUE: where either id is NULL nobody is
  -- "oneself", and that is a refusal too.
  IF (current_setting('role') = 'service_role' OR p_user_id = auth.uid()) IS NOT TRUE THEN
    RAISE EXCEPTION 'p_user_id must be your own id'
      USING ERRCODE = '42501';
  END IF;

  RETURN QUERY
  SELECT n.notification_type::varchar, count(*)
  FROM communication.notifications n
  WHERE n.user_id = p_user_id
    AND n.read_at IS NULL
  GROUP BY n.notification_type
  ORDER BY n.notification_type;
END
$$;

COMMENT ON FUNCTION communication.get_unread_counts(uuid) IS
  'The number of the user''s unread notifications, by type.';

REVOKE ALL ON FUNCTION communication.get_unread_counts(uuid)
  FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION communication.get_unread_counts(uuid)
  TO authenticated, service_role;
