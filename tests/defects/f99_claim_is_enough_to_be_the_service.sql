-- F99: a claim of service_role is enough to be the service, with any role of the session
-- caught by: tests/attacks/test_claims.py::test_only_role_and_subject_decide[authenticated]
-- caught by: tests/attacks/test_claims.py::test_only_role_and_subject_decide[service_role]
DO $$
DECLARE
  function record;
BEGIN
  FOR function IN
    SELECT pg_get_functiondef(oid) AS definition
    FROM pg_proc
    WHERE pronamespace = 'communication'::regnamespace AND prosrc LIKE '%current_setting(''role'')%'
  LOOP
    EXECUTE replace(function.definition, 'current_setting(''role'')', 'auth.role()');
  END LOOP;
END
$$;
