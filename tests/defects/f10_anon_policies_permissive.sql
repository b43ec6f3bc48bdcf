-- F10: the policies against anon are permissive, and so allow everything to all other roles
-- caught by: tests/policies/test_appointment_services.py::test_grid[customer at the salon-select-other_customer]
-- caught by: tests/policies/test_message_threads.py::test_grid[customer to staff-select-other_customer]
-- caught by: tests/policies/test_message_threads.py::test_grid[customer to staff-update-no_subject]
-- caught by: tests/policies/test_customer_favorites.py::test_grid[customer's favourite-delete-other_customer]
-- caught by: tests/policies/test_audit_logs.py::test_grid[owner's entry-insert-customer]
-- caught by: tests/policies/test_service_booking_rules.py::test_grid[the salon's rule-update-customer]
-- caught by: tests/policies/test_anon.py::test_a_policy_for_everybody_does_not_let_anon_in
DROP POLICY "Anon cannot access appointment services" ON scheduling.appointment_services;
CREATE POLICY "Anon cannot access appointment services" ON scheduling.appointment_services
  FOR ALL USING (auth.role() <> 'anon');

DROP POLICY "Anon cannot access threads" ON communication.message_threads;
CREATE POLICY "Anon cannot access threads" ON communication.message_threads
  FOR ALL USING (auth.role() <> 'anon');

DROP POLICY "Anon cannot access favorites" ON engagement.customer_favorites;
CREATE POLICY "Anon cannot access favorites" ON engagement.customer_favorites
  FOR ALL USING (auth.role() <> 'anon');

DROP POLICY "Anon cannot access audit logs" ON audit.audit_logs;
CREATE POLICY "Anon cannot access audit logs" ON audit.audit_logs
  FOR ALL USING (auth.role() <> 'anon');

DROP POLICY "Anon cannot access booking rules" ON catalog.service_booking_rules;
CREATE POLICY "Anon cannot access booking rules" ON catalog.service_booking_rules
  FOR ALL USING (auth.role() <> 'anon');
