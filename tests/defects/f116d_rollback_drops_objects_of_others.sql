-- F116d: the rollback of phase 2 drops functions of its names, also those that its steps did not create
-- caught by: tests/migrations/test_ownership.py::test_a_step_stops_at_a_function_of_somebody_else[2.1.3 function communication.get_unread_count-another body]
-- caught by: tests/migrations/test_orders.py
-- instead of: migrations/phase_2_rpc_functions/rollback.sql
DROP FUNCTION IF EXISTS communication.send_notification(uuid, text, varchar, jsonb);
DROP FUNCTION IF EXISTS communication.mark_notifications_read(uuid, uuid[]);
DROP FUNCTION IF EXISTS communication.get_unread_count(uuid);
DROP FUNCTION IF EXISTS communication.get_unread_counts(uuid);
DROP FUNCTION IF EXISTS communication.get_notifications_page(uuid, integer, integer);
DROP FUNCTION IF EXISTS scheduling.calculate_business_hours(uuid, date);
DROP FUNCTION IF EXISTS catalog.calculate_duration_minutes(uuid[]);
