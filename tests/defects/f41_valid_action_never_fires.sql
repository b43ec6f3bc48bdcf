-- F41: valid_action repeats NOT NULL, and so never refuses a row
-- caught by: tests/constraints/test_audit_logs.py::test_blank_text_is_refused
-- caught by: tests/functions/test_log_action.py::test_blank_text_is_refused
ALTER TABLE audit.audit_logs
  DROP CONSTRAINT valid_action,
  ADD CONSTRAINT valid_action CHECK (entity_type IS NOT NULL AND action IS NOT NULL);
