-- F53: phase 2 is rolled back while later phases are applied
-- caught by: tests/migrations/test_rollback.py::test_the_error_names_the_phase_to_roll_back_first[phase 2, after 3.3 service_booking_rules]
-- caught by: tests/migrations/test_rollback.py::test_the_last_of_several_later_phases_is_named[phase 2]
-- instead of: migrations/phase_2_rpc_functions/rollback.sql
DROP FUNCTION IF EXISTS communication.send_notification(uuid, text, varchar, jsonb);
DROP FUNCTION IF EXISTS communication.mark_notifications_read(uuid, uuid[]);
DROP FUNCTION IF EXISTS communication.get_unread_count(uuid);
DROP FUNCTION IF EXISTS communication.get_unread_counts(uuid);
DROP FUNCTION IF EXISTS communication.get_notifications_page(uuid, integer, integer);
DROP FUNCTION IF EXISTS scheduling.calculate_business_hours(uuid, date);
DROP FUNCTION IF EXISTS catalog.calculate_duration_minutes(uuid[]);
