-- F99: whoever's token says service_role is the service, whatever the session's role is
-- caught by: tests/attacks/test_claims.py::test_only_role_and_subject_decide[authenticated]
-- caught by: tests/attacks/test_claims.py::test_only_role_and_subject_decide[service_role]
DO $$
DECLARE
  made record;
BEGIN
  FOR made IN
    SELECT pg_get_functiondef(oid) AS definition
    FROM pg_proc
    WHERE pronamespace = 'communication'::regnamespace AND prosrc LIKE '%current_setting(''role'')%'
  LOOP
    EXECUTE replace(made.definition, 'current_setting(''role'')', 'auth.role()');
  END LOOP;
END
$$;
