-- A function that writes is marked as safe for parallel workers
ALTER FUNCTION communication.send_notification(uuid, text, varchar, jsonb) PARALLEL SAFE;
