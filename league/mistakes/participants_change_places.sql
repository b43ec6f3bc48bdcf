-- The participants of a thread may change places, so the one who received it is the one who wrote it
DROP TRIGGER keep_thread_participants ON communication.message_threads;
CREATE TRIGGER keep_thread_participants
  BEFORE UPDATE ON communication.message_threads
  FOR EACH ROW
  WHEN (
    LEAST(NEW.created_by_id, NEW.recipient_id) IS DISTINCT FROM LEAST(OLD.created_by_id, OLD.recipient_id)
    AND row_security_active('communication.message_threads')
    OR GREATEST(NEW.created_by_id, NEW.recipient_id) IS DISTINCT FROM GREATEST(OLD.created_by_id, OLD.recipient_id)
    AND row_security_active('communication.message_threads')
  )
  EXECUTE FUNCTION communication.keep_thread_participants();
