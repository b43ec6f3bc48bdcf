-- 2.1.5: get_notifications_page returns one page of a user's notifications, newest first.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';

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
  -- The service is who the session is, not who its token says. IS NOT TRUE: where either id is NULL nobody is
  -- "oneself", and that is a refusal too.
  IF (current_setting('role') = 'service_role' OR p_user_id = auth.uid()) IS NOT TRUE THEN
    RAISE EXCEPTION 'p_user_id must be your own id'
      USING ERRCODE = '42501';
  END IF;

  -- NULL is let through: to LIMIT and OFFSET it means "all" and "from the first".
  IF p_limit < 0 THEN
    RAISE EXCEPTION 'p_limit must not be negative, but is %', p_limit
      USING ERRCODE = '22023';
  END IF;

  IF p_offset < 0 THEN
    RAISE EXCEPTION 'p_offset must not be negative, but is %', p_offset
      USING ERRCODE = '22023';
  END IF;

  -- The id makes the order total, so that pages neither repeat nor skip a row.
  -- NULLS LAST: a notification of unknown age must not stand above the newest. An index on the time has these first,
  -- so they are asked for by themselves: the others come from it in order, and no more of them than the page needs.
  RETURN QUERY
  SELECT n.id, n.user_id, n.message, n.notification_type::varchar, n.read_at, n.created_at
  FROM (
    (
      SELECT *
      FROM communication.notifications dated
      WHERE dated.user_id = p_user_id
        AND dated.created_at IS NOT NULL
      ORDER BY dated.created_at DESC, dated.id DESC
      LIMIT p_limit::bigint + p_offset
    )
    UNION ALL
    SELECT *
    FROM communication.notifications undated
    WHERE undated.user_id = p_user_id
      AND undated.created_at IS NULL
  ) AS n
  ORDER BY n.created_at DESC NULLS LAST, n.id DESC
  LIMIT p_limit
  OFFSET p_offset;
END
$$;

COMMENT ON FUNCTION communication.get_notifications_page(uuid, integer, integer) IS
  'A page of the user''s notifications, newest first.';

REVOKE ALL ON FUNCTION communication.get_notifications_page(uuid, integer, integer)
  FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION communication.get_notifications_page(uuid, integer, integer)
  TO authenticated, service_role;
