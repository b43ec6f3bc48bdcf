-- F30: all seven views read as their owner, to whom no policy applies
-- caught by: tests/attacks/test_leaky_functions.py::test_hidden_rows_do_not_reach_the_function
-- caught by: tests/views/test_every_view.py::test_the_view_is_security_invoker
-- caught by: tests/views/test_audit_logs_view.py::test_shows_what_the_tables_show[customer]
-- caught by: tests/views/test_customer_favorites_view.py::test_shows_what_the_table_shows[owner]
-- caught by: tests/views/test_salon_reviews_with_counts_view.py::test_hidden_reviews_do_not_count
-- caught by: tests/views/test_view_blocked_times_with_relations.py::test_shows_what_the_table_shows[customer]
-- caught by: tests/views/test_view_notifications.py::test_shows_what_the_table_shows[customer]
-- caught by: tests/views/test_view_profile_metadata.py::test_shows_what_the_table_shows[customer]
-- caught by: tests/views/test_view_user_preferences.py::test_shows_what_the_table_shows[customer]
ALTER VIEW audit.audit_logs_view RESET (security_invoker);
ALTER VIEW engagement.customer_favorites_view RESET (security_invoker);
ALTER VIEW engagement.salon_reviews_with_counts_view RESET (security_invoker);
ALTER VIEW scheduling.view_blocked_times_with_relations RESET (security_invoker);
ALTER VIEW communication.view_notifications RESET (security_invoker);
ALTER VIEW identity.view_profile_metadata RESET (security_invoker);
ALTER VIEW identity.view_user_preferences RESET (security_invoker);
