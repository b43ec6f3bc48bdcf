-- F15: auth.uid() runs once for each row, and three lists combined with OR prevent the use of an index
-- caught by: tests/policies/test_cost.py::test_a_query_calls_auth_uid_once
-- caught by: tests/policies/test_cost.py::test_an_index_finds_the_rows
DROP POLICY "Users view appointment services for their appointments" ON scheduling.appointment_services;
CREATE POLICY "Users view appointment services for their appointments" ON scheduling.appointment_services
  FOR SELECT TO authenticated
  USING (
    appointment_id IN (
      SELECT a.id FROM scheduling.appointments a WHERE a.customer_id = auth.uid()
    )
    OR appointment_id IN (
      SELECT a.id
      FROM scheduling.appointments a
      JOIN organization.staff_profiles sp ON sp.salon_id = a.salon_id
      WHERE sp.user_id = auth.uid()
    )
    OR appointment_id IN (
      SELECT a.id
      FROM scheduling.appointments a
      WHERE a.salon_id IN (SELECT s.id FROM organization.salons s WHERE s.owner_id = auth.uid())
    )
  );

DROP POLICY "Users can view their own threads" ON communication.message_threads;
CREATE POLICY "Users can view their own threads" ON communication.message_threads
  FOR SELECT TO authenticated
  USING ((created_by_id = auth.uid() OR recipient_id = auth.uid()) AND is_deleted = false);

DROP POLICY "Customers can view their own favorites" ON engagement.customer_favorites;
CREATE POLICY "Customers can view their own favorites" ON engagement.customer_favorites
  FOR SELECT TO authenticated
  USING (customer_id = auth.uid());

DROP POLICY "Authenticated users can view audit logs" ON audit.audit_logs;
CREATE POLICY "Authenticated users can view audit logs" ON audit.audit_logs
  FOR SELECT TO authenticated
  USING (auth.uid() IS NOT NULL);

DROP POLICY "Salon staff can view their booking rules" ON catalog.service_booking_rules;
CREATE POLICY "Salon staff can view their booking rules" ON catalog.service_booking_rules
  FOR SELECT TO authenticated
  USING (
    salon_id IN (SELECT s.id FROM organization.salons s WHERE s.owner_id = auth.uid())
    OR salon_id IN (SELECT sp.salon_id FROM organization.staff_profiles sp WHERE sp.user_id = auth.uid())
  );
