-- F07: no role has USAGE on the schema of the audit log, so every grant in it is useless
-- caught by: tests/policies/test_audit_logs.py::test_grid[owner's entry-select-customer]
-- caught by: tests/policies/test_audit_logs.py::test_grid[owner's entry-insert-service]
-- caught by: tests/functions/test_log_action.py::test_an_entry_as[customer]
-- caught by: tests/views/test_audit_logs_view.py::test_shows_what_the_tables_show[customer]
REVOKE USAGE ON SCHEMA audit FROM authenticated, service_role;
