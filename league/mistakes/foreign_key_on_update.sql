-- A new id of a salon changes the salon of its booking rules
ALTER TABLE catalog.service_booking_rules
  DROP CONSTRAINT service_booking_rules_salon_id_fkey,
  ADD CONSTRAINT service_booking_rules_salon_id_fkey FOREIGN KEY (salon_id) REFERENCES organization.salons (id)
    ON UPDATE CASCADE ON DELETE CASCADE;
