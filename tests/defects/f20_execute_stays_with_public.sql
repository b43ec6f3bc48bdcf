-- F20: every role may execute all eight functions, also anon
-- caught by: tests/attacks/test_arguments.py::test_anon_is_always_refused
-- caught by: tests/functions/test_every_function.py::test_refuses
-- caught by: tests/functions/test_every_function.py::test_execute_is_granted_to_two_roles
-- caught by: tests/functions/test_every_function.py::test_effective_execute_privileges
GRANT EXECUTE ON FUNCTION
  audit.log_action(varchar, uuid, varchar, jsonb, jsonb, text),
  communication.send_notification(uuid, text, varchar, jsonb),
  communication.mark_notifications_read(uuid, uuid[]),
  communication.get_unread_count(uuid),
  communication.get_unread_counts(uuid),
  communication.get_notifications_page(uuid, integer, integer),
  scheduling.calculate_business_hours(uuid, date),
  catalog.calculate_duration_minutes(uuid[])
TO PUBLIC;
