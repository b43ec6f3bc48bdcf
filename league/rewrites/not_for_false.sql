-- NOT is_deleted in place of is_deleted = false
ALTER POLICY "Users can view their own threads" ON communication.message_threads
  USING ((created_by_id = (SELECT auth.uid()) OR recipient_id = (SELECT auth.uid())) AND NOT is_deleted);
