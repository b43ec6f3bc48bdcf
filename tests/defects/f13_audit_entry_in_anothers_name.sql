-- F13: every signed-in user writes audit entries in any user's name, or without an actor
-- caught by: tests/policies/test_audit_logs.py::test_grid[owner's entry-insert-customer]
-- caught by: tests/policies/test_audit_logs.py::test_grid[owner's entry-insert-no_subject]
-- caught by: tests/policies/test_audit_logs.py::test_only_the_service_adds_an_entry_without_an_actor
DROP POLICY "System can insert audit logs" ON audit.audit_logs;
CREATE POLICY "System can insert audit logs" ON audit.audit_logs
  FOR INSERT TO authenticated
  WITH CHECK (auth.role() = 'authenticated');
