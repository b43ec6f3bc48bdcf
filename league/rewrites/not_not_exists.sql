-- NOT (NOT EXISTS …), and the join the other way round
ALTER POLICY "Staff can insert appointment services" ON scheduling.appointment_services
  WITH CHECK (NOT (NOT EXISTS (
    SELECT FROM organization.staff_profiles sp
    JOIN scheduling.appointments a ON a.salon_id = sp.salon_id
    WHERE sp.user_id = (SELECT auth.uid()) AND appointment_services.appointment_id = a.id
  )));
