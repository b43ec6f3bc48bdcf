-- F72: with an empty search_path a temporary type comes first, and a caller's domain runs as the owner
-- caught by: tests/attacks/test_shadowing.py::test_no_object_of_the_caller_runs_as_the_owner
-- caught by: tests/functions/test_every_function.py::test_a_temporary_type_changes_nothing[communication.get_unread_count]
-- caught by: tests/functions/test_every_function.py::test_a_temporary_type_changes_nothing[audit.log_action]
-- caught by: tests/policies/test_catalog.py::test_trigger_functions_have_a_safe_search_path_and_few_rights
ALTER FUNCTION audit.log_action(varchar, uuid, varchar, jsonb, jsonb, text) SET search_path = '';
ALTER FUNCTION communication.send_notification(uuid, text, varchar, jsonb) SET search_path = '';
ALTER FUNCTION communication.mark_notifications_read(uuid, uuid[]) SET search_path = '';
ALTER FUNCTION communication.get_unread_count(uuid) SET search_path = '';
ALTER FUNCTION communication.get_unread_counts(uuid) SET search_path = '';
ALTER FUNCTION communication.get_notifications_page(uuid, integer, integer) SET search_path = '';
ALTER FUNCTION scheduling.calculate_business_hours(uuid, date) SET search_path = '';
ALTER FUNCTION catalog.calculate_duration_minutes(uuid[]) SET search_path = '';
ALTER FUNCTION scheduling.keep_appointment_service_in_its_salon() SET search_path = '';
ALTER FUNCTION communication.soft_delete_thread() SET search_path = '';
ALTER FUNCTION communication.keep_thread_participants() SET search_path = '';
