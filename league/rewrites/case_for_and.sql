-- CASE in place of AND
ALTER POLICY "Users can soft-delete their threads" ON communication.message_threads
  USING (CASE WHEN is_deleted = false
    THEN created_by_id = (SELECT auth.uid()) OR recipient_id = (SELECT auth.uid()) ELSE false END);
