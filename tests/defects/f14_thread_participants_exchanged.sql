-- F14: either participant of a thread exchanges the other one, or signs the thread with a stranger's name
-- caught by: tests/policies/test_message_threads.py::test_grid[customer to staff-forge recipient-customer]
-- caught by: tests/policies/test_message_threads.py::test_grid[customer to staff-forge sender-staff]
DROP TRIGGER keep_thread_participants ON communication.message_threads;
