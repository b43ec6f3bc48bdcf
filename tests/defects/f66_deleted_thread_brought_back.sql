-- F66: an update that reads no column also reaches deleted threads, and restores them
-- caught by: tests/policies/test_message_threads.py::test_grid[deleted by customer or staff-update-customer]
-- caught by: tests/policies/test_message_threads.py::test_grid[neither deleted nor not-update-customer]
DROP POLICY "Users can update their threads" ON communication.message_threads;
CREATE POLICY "Users can update their threads" ON communication.message_threads
  FOR UPDATE TO authenticated
  USING (created_by_id = (SELECT auth.uid()) OR recipient_id = (SELECT auth.uid()));
