-- Verify lists:lists on pg
BEGIN;

SELECT id, owner, title, is_public FROM data.lists WHERE false;
SELECT id, list_id, body, done FROM data.items WHERE false;

ROLLBACK;
