-- The staff member of the line may update it, in place of the staff of the appointment's salon
ALTER POLICY "Staff can update appointment services" ON scheduling.appointment_services
  USING (EXISTS (
    SELECT FROM organization.staff_profiles sp
    WHERE sp.id = appointment_services.staff_id AND sp.user_id = (SELECT auth.uid())
  ))
  WITH CHECK (EXISTS (
    SELECT FROM organization.staff_profiles sp
    WHERE sp.id = appointment_services.staff_id AND sp.user_id = (SELECT auth.uid())
  ));
