-- A subject may have 500 bytes, not 500 characters
ALTER TABLE communication.message_threads ADD CONSTRAINT subject_length CHECK (octet_length(subject) <= 500);
