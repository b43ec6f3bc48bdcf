-- The conditions of a policy are in another order
ALTER POLICY "Users can view their own threads" ON communication.message_threads
  USING (is_deleted = false AND (recipient_id = (SELECT auth.uid()) OR created_by_id = (SELECT auth.uid())));
