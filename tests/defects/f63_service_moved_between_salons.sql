-- F63: a staff member of two salons moves a booked service from one salon's appointment to the other's
-- caught by: tests/policies/test_appointment_services.py::test_staff_of_two_salons_cannot_move_a_service_between_them
DROP TRIGGER keep_appointment_service_in_its_salon ON scheduling.appointment_services;
