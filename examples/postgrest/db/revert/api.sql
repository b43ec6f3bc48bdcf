-- Revert lists:api from pg
BEGIN;

DROP SCHEMA api CASCADE;

COMMIT;
