-- An index on a time in ascending order, which PostgreSQL reads backwards as well
DROP INDEX scheduling.idx_appointment_services_created_at;
CREATE INDEX idx_appointment_services_created_at ON scheduling.appointment_services (created_at ASC NULLS LAST);
