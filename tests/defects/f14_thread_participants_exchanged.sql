-- F14: a participant of a thread replaces the other participant, or the sender, with another user
-- caught by: tests/policies/test_message_threads.py::test_grid[customer to staff-forge recipient-customer]
-- caught by: tests/policies/test_message_threads.py::test_grid[customer to staff-forge sender-staff]
DROP TRIGGER keep_thread_participants ON communication.message_threads;
