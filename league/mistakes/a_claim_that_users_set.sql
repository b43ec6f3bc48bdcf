-- A user also sees the booking rules of the salon in user_metadata, which users write themselves
ALTER POLICY "Salon staff can view their booking rules" ON catalog.service_booking_rules
  USING (salon_id = ANY (ARRAY(
    SELECT s.id FROM organization.salons s WHERE s.owner_id = (SELECT auth.uid())
    UNION ALL
    SELECT sp.salon_id FROM organization.staff_profiles sp WHERE sp.user_id = (SELECT auth.uid())
  )) OR salon_id = (SELECT (auth.jwt() -> 'user_metadata' ->> 'salon_id')::uuid));
