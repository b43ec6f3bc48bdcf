-- A function with a variable in place of a subquery
CREATE OR REPLACE FUNCTION communication.get_unread_count(p_user_id uuid) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  unread bigint;
BEGIN
  IF (p_user_id = auth.uid() OR current_setting('role') = 'service_role') IS NOT TRUE THEN
    RAISE EXCEPTION USING MESSAGE = 'p_user_id must be your own id', ERRCODE = 'insufficient_privilege';
  END IF;
  SELECT count(*) INTO unread FROM communication.notifications WHERE read_at IS NULL AND user_id = p_user_id;
  RETURN unread;
END
$$;
