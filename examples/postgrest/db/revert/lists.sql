-- Revert lists:lists from pg
BEGIN;

DROP SCHEMA data CASCADE;

COMMIT;
