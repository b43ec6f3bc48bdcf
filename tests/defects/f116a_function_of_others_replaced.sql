-- F116a: a step replaces a function of its name without a word
-- caught by: tests/migrations/test_ownership.py::test_a_step_stops_at_a_function_of_somebody_else[2.1.3 function communication.get_unread_count-another body]
-- caught by: tests/migrations/test_ownership.py::test_a_step_stops_at_a_function_of_somebody_else[2.1.3 function communication.get_unread_count-an overload]
-- instead of: migrations/phase_2_rpc_functions/2_1_3_get_unread_count.sql
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION communication.get_unread_count(p_user_id uuid)
RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  -- The role of the session decides who is the service; a token could claim anything. IS NOT TRUE also refuses if one
  -- of the ids is NULL.
  IF (current_setting('role') = 'service_role' OR p_user_id = auth.uid()) IS NOT TRUE THEN
    RAISE EXCEPTION 'p_user_id must be your own id'
      USING ERRCODE = '42501';
  END IF;

  RETURN (
    SELECT count(*)
    FROM communication.notifications n
    WHERE n.user_id = p_user_id
      AND n.read_at IS NULL
  );
END
$$;

COMMENT ON FUNCTION communication.get_unread_count(uuid) IS
  'Get count of unread notifications for a user.';

REVOKE ALL ON FUNCTION communication.get_unread_count(uuid)
  FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION communication.get_unread_count(uuid)
  TO authenticated, service_role;
