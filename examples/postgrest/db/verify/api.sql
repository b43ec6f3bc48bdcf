-- Verify lists:api on pg
BEGIN;

SELECT id, title, items, done FROM api.progress WHERE false;
SELECT has_function_privilege('lists_user', 'api.finish(int)', 'EXECUTE');

ROLLBACK;
