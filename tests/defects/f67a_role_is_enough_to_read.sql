-- F67a: a session without a subject reads the audit log and every avatar
-- caught by: tests/policies/test_audit_logs.py::test_grid[owner's entry-select-no_subject]
-- caught by: tests/policies/test_avatars.py::test_grid[customer's avatar-select-no_subject]
-- caught by: tests/views/test_audit_logs_view.py::test_shows_what_the_tables_show[no_subject]
DROP POLICY "Authenticated users can view audit logs" ON audit.audit_logs;
CREATE POLICY "Authenticated users can view audit logs" ON audit.audit_logs
  FOR SELECT USING (auth.role() = 'authenticated');

DROP POLICY "Authenticated users can view avatars" ON storage.objects;
CREATE POLICY "Authenticated users can view avatars" ON storage.objects
  FOR SELECT USING (bucket_id = 'avatars' AND auth.role() = 'authenticated');
