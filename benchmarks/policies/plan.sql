-- The policies of the plan, instead of those that ship. Run in a transaction that is rolled back.
-- Two errors of the plan are repaired; otherwise the queries would return other rows, and could not be compared:
-- "Anon cannot access …" is restrictive (F10), and an update of an avatar finds its row (F11).

DROP POLICY "Users view appointment services for their appointments" ON scheduling.appointment_services;
CREATE POLICY "Users view appointment services for their appointments" ON scheduling.appointment_services
  FOR SELECT
  USING (
    appointment_id IN (
      SELECT a.id FROM scheduling.appointments a
      WHERE a.customer_id = auth.uid()
    )
    OR
    appointment_id IN (
      SELECT a.id FROM scheduling.appointments a
      INNER JOIN organization.staff_profiles sp ON a.salon_id = sp.salon_id
      WHERE sp.user_id = auth.uid()
    )
    OR
    appointment_id IN (
      SELECT a.id FROM scheduling.appointments a
      WHERE a.salon_id IN (
        SELECT id FROM organization.salons
        WHERE owner_id = auth.uid()
      )
    )
  );

DROP POLICY "Staff can update appointment services" ON scheduling.appointment_services;
CREATE POLICY "Staff can update appointment services" ON scheduling.appointment_services
  FOR UPDATE
  USING (
    appointment_id IN (
      SELECT a.id FROM scheduling.appointments a
      INNER JOIN organization.staff_profiles sp ON a.salon_id = sp.salon_id
      WHERE sp.user_id = auth.uid()
    )
  );

DROP POLICY "Anon cannot access appointment services" ON scheduling.appointment_services;
CREATE POLICY "Anon cannot access appointment services" ON scheduling.appointment_services
  AS RESTRICTIVE FOR ALL
  USING (auth.role() != 'anon');

DROP POLICY "Users can view their own threads" ON communication.message_threads;
CREATE POLICY "Users can view their own threads" ON communication.message_threads
  FOR SELECT
  USING (
    (created_by_id = auth.uid() OR recipient_id = auth.uid())
    AND is_deleted = FALSE
  );

DROP POLICY "Users can update their threads" ON communication.message_threads;
CREATE POLICY "Users can update their threads" ON communication.message_threads
  FOR UPDATE
  USING (created_by_id = auth.uid() OR recipient_id = auth.uid());

DROP POLICY "Anon cannot access threads" ON communication.message_threads;
CREATE POLICY "Anon cannot access threads" ON communication.message_threads
  AS RESTRICTIVE FOR ALL
  USING (auth.role() != 'anon');

DROP POLICY "Customers can view their own favorites" ON engagement.customer_favorites;
CREATE POLICY "Customers can view their own favorites" ON engagement.customer_favorites
  FOR SELECT
  USING (customer_id = auth.uid());

DROP POLICY "Customers can update their own favorites" ON engagement.customer_favorites;
CREATE POLICY "Customers can update their own favorites" ON engagement.customer_favorites
  FOR UPDATE
  USING (customer_id = auth.uid());

DROP POLICY "Anon cannot access favorites" ON engagement.customer_favorites;
CREATE POLICY "Anon cannot access favorites" ON engagement.customer_favorites
  AS RESTRICTIVE FOR ALL
  USING (auth.role() != 'anon');

DROP POLICY "Authenticated users can view audit logs" ON audit.audit_logs;
CREATE POLICY "Authenticated users can view audit logs" ON audit.audit_logs
  FOR SELECT
  USING (auth.role() = 'authenticated');

DROP POLICY "Anon cannot access audit logs" ON audit.audit_logs;
CREATE POLICY "Anon cannot access audit logs" ON audit.audit_logs
  AS RESTRICTIVE FOR ALL
  USING (auth.role() != 'anon');

DROP POLICY "Salon staff can view their booking rules" ON catalog.service_booking_rules;
CREATE POLICY "Salon staff can view their booking rules" ON catalog.service_booking_rules
  FOR SELECT
  USING (
    salon_id IN (
      SELECT id FROM organization.salons
      WHERE owner_id = auth.uid()
    )
    OR
    salon_id IN (
      SELECT salon_id FROM organization.staff_profiles
      WHERE user_id = auth.uid()
    )
  );

DROP POLICY "Salon owners can update their booking rules" ON catalog.service_booking_rules;
CREATE POLICY "Salon owners can update their booking rules" ON catalog.service_booking_rules
  FOR UPDATE
  USING (
    salon_id IN (
      SELECT id FROM organization.salons
      WHERE owner_id = auth.uid()
    )
  );

DROP POLICY "Anon cannot access booking rules" ON catalog.service_booking_rules;
CREATE POLICY "Anon cannot access booking rules" ON catalog.service_booking_rules
  AS RESTRICTIVE FOR ALL
  USING (auth.role() != 'anon');

DROP POLICY "Authenticated users can view avatars" ON storage.objects;
CREATE POLICY "Authenticated users can view avatars" ON storage.objects
  FOR SELECT
  USING (bucket_id = 'avatars' AND auth.role() = 'authenticated');

DROP POLICY "Users can update their own avatars" ON storage.objects;
CREATE POLICY "Users can update their own avatars" ON storage.objects
  FOR UPDATE
  USING (
    bucket_id = 'avatars'
    AND auth.uid()::text = (storage.foldername(name))[1]
  );
