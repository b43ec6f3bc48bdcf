-- An archived thread is really deleted
DROP TRIGGER soft_delete_thread ON communication.message_threads;
CREATE TRIGGER soft_delete_thread
  BEFORE DELETE ON communication.message_threads
  FOR EACH ROW
  WHEN (row_security_active('communication.message_threads') AND OLD.is_archived IS NOT TRUE)
  EXECUTE FUNCTION communication.soft_delete_thread();
