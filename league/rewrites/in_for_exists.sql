-- IN in place of EXISTS
ALTER POLICY "Staff can insert appointment services" ON scheduling.appointment_services
  WITH CHECK (appointment_id IN (
    SELECT a.id
    FROM scheduling.appointments a
    JOIN organization.staff_profiles sp ON sp.salon_id = a.salon_id
    WHERE sp.user_id = (SELECT auth.uid())
  ));
