-- Deleting a thread also removes its description
CREATE OR REPLACE FUNCTION communication.soft_delete_thread() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  UPDATE communication.message_threads
  SET is_deleted = true, updated_at = now(), description = NULL
  WHERE id = OLD.id;
  RETURN NULL;
END
$$;
