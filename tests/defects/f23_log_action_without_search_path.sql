-- F23: log_action has its owner's rights, and looks names up in the caller's search_path
-- caught by: tests/functions/test_every_function.py::test_is_security_definer_with_a_safe_search_path[audit.log_action]
-- caught by: tests/functions/test_every_function.py::test_the_callers_search_path_changes_nothing[audit.log_action]
CREATE OR REPLACE FUNCTION audit.log_action(
  p_entity_type varchar,
  p_entity_id uuid,
  p_action varchar,
  p_old_values jsonb DEFAULT NULL,
  p_new_values jsonb DEFAULT NULL,
  p_reason text DEFAULT NULL
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER
AS $$
DECLARE
  v_log_id uuid;
BEGIN
  IF auth.uid() IS NULL THEN
    RAISE EXCEPTION 'an audit entry needs an actor, and this session has no subject'
      USING ERRCODE = '42501';
  END IF;

  INSERT INTO audit.audit_logs (
    entity_type, entity_id, action, actor_id, old_values, new_values, reason, source_system, created_at
  ) VALUES (
    p_entity_type, p_entity_id, p_action, auth.uid(), p_old_values, p_new_values, p_reason, 'application', now()
  )
  RETURNING id INTO v_log_id;

  RETURN v_log_id;
END
$$;
