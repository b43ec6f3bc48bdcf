-- UNION in place of UNION ALL
ALTER POLICY "Salon staff can view their booking rules" ON catalog.service_booking_rules
  USING (salon_id = ANY (ARRAY(
    SELECT sp.salon_id FROM organization.staff_profiles sp WHERE sp.user_id = (SELECT auth.uid())
    UNION
    SELECT s.id FROM organization.salons s WHERE s.owner_id = (SELECT auth.uid())
  )));
