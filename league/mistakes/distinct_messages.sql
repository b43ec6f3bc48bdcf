-- Two unread notifications with the same message count once
CREATE OR REPLACE FUNCTION communication.get_unread_count(p_user_id uuid) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF (current_setting('role') = 'service_role' OR p_user_id = auth.uid()) IS NOT TRUE THEN
    RAISE EXCEPTION 'p_user_id must be your own id' USING ERRCODE = '42501';
  END IF;
  RETURN (
    SELECT count(DISTINCT n.message)
    FROM communication.notifications n
    WHERE n.user_id = p_user_id AND n.read_at IS NULL
  );
END
$$;
