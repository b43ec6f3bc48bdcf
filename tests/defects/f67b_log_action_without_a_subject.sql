-- F67b: log_action writes an entry without an actor
-- caught by: tests/functions/test_log_action.py::test_an_entry_as[no_subject]
-- caught by: tests/functions/test_log_action.py::test_an_entry_as[service]
-- caught by: tests/functions/test_log_action.py::test_a_session_without_claims_is_refused
CREATE OR REPLACE FUNCTION audit.log_action(
  p_entity_type varchar,
  p_entity_id uuid,
  p_action varchar,
  p_old_values jsonb DEFAULT NULL,
  p_new_values jsonb DEFAULT NULL,
  p_reason text DEFAULT NULL
) RETURNS uuid
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  INSERT INTO audit.audit_logs (
    entity_type, entity_id, action, actor_id, old_values, new_values, reason, source_system
  ) VALUES (
    p_entity_type, p_entity_id, p_action, auth.uid(), p_old_values, p_new_values, p_reason, 'application'
  )
  RETURNING id;
$$;
