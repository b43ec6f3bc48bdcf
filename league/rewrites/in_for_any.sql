-- IN (SELECT …) in place of = ANY (ARRAY(SELECT …))
ALTER POLICY "Salon owners can delete their booking rules" ON catalog.service_booking_rules
  USING (salon_id IN (SELECT s.id FROM organization.salons s WHERE s.owner_id = (SELECT auth.uid())));
