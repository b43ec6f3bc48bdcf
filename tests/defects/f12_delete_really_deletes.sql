-- F12: the policy with the name of a soft delete lets a participant delete the row itself
-- caught by: tests/races/test_concurrent_changes.py::test_a_soft_delete_that_waits_for_an_update
-- caught by: tests/policies/test_message_threads.py::test_deleting_hides_the_thread_from_both_and_keeps_the_row
-- caught by: tests/policies/test_message_threads.py::test_deleting_all_deletes_the_own_ones
DROP TRIGGER soft_delete_thread ON communication.message_threads;
