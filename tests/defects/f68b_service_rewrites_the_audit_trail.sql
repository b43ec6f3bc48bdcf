-- F68b: the service keeps what the default privileges grant, and changes the audit log
-- caught by: tests/policies/test_audit_logs.py::test_grid[owner's entry-update-service]
-- caught by: tests/policies/test_audit_logs.py::test_grid[owner's entry-delete-service]
-- caught by: tests/policies/test_audit_logs.py::test_no_persona_truncates_the_log
GRANT UPDATE, DELETE, TRUNCATE ON audit.audit_logs TO service_role;
