-- F68a: anon keeps what the default privileges grant on every new table and view
-- caught by: tests/policies/test_appointment_services.py::test_grid[customer at the salon-select-anon]
-- caught by: tests/policies/test_message_threads.py::test_grid[customer to staff-select-anon]
-- caught by: tests/policies/test_customer_favorites.py::test_grid[customer's favourite-update-anon]
-- caught by: tests/policies/test_audit_logs.py::test_grid[owner's entry-delete-anon]
-- caught by: tests/policies/test_service_booking_rules.py::test_grid[the salon's rule-select-anon]
-- caught by: tests/views/test_every_view.py::test_select_is_granted_to_users_and_the_service
-- caught by: tests/views/test_salon_reviews_with_counts_view.py::test_anon_is_refused
GRANT USAGE ON SCHEMA scheduling, communication, engagement, audit, catalog, identity TO anon;
GRANT ALL ON
  scheduling.appointment_services,
  communication.message_threads,
  engagement.customer_favorites,
  audit.audit_logs,
  catalog.service_booking_rules
TO anon;
GRANT ALL ON
  audit.audit_logs_view,
  engagement.customer_favorites_view,
  engagement.salon_reviews_with_counts_view,
  scheduling.view_blocked_times_with_relations,
  communication.view_notifications,
  identity.view_profile_metadata,
  identity.view_user_preferences
TO anon;
