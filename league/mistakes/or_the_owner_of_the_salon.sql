-- The owner of the salon that a thread is about reads it, too
ALTER POLICY "Users can view their own threads" ON communication.message_threads
  USING ((created_by_id = (SELECT auth.uid()) OR recipient_id = (SELECT auth.uid())
    OR salon_id = ANY (ARRAY(SELECT s.id FROM organization.salons s WHERE s.owner_id = (SELECT auth.uid()))))
    AND is_deleted = false);
