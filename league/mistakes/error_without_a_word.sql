-- An audit entry that cannot be written is no error
CREATE OR REPLACE FUNCTION audit.log_action(
  p_entity_type varchar, p_entity_id uuid, p_action varchar,
  p_old_values jsonb DEFAULT NULL, p_new_values jsonb DEFAULT NULL, p_reason text DEFAULT NULL
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_log_id uuid;
BEGIN
  IF auth.uid() IS NULL THEN
    RAISE EXCEPTION 'an audit entry needs an actor, and this session has no subject' USING ERRCODE = '42501';
  END IF;
  BEGIN
    INSERT INTO audit.audit_logs (
      entity_type, entity_id, action, actor_id, old_values, new_values, reason, source_system
    ) VALUES (
      p_entity_type, p_entity_id, p_action, auth.uid(), p_old_values, p_new_values, p_reason, 'application'
    )
    RETURNING id INTO v_log_id;
  EXCEPTION
    WHEN OTHERS THEN NULL;
  END;
  RETURN v_log_id;
END
$$;
