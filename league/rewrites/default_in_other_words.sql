-- CURRENT_TIMESTAMP in place of now()
ALTER TABLE catalog.service_booking_rules ALTER COLUMN created_at SET DEFAULT CURRENT_TIMESTAMP;
