-- Deploy lists:api to pg
-- requires: lists
BEGIN;

CREATE SCHEMA api;
GRANT USAGE ON SCHEMA api TO lists_user, web_anon;

-- Without security_invoker a view has the rights of its owner, to whom the policies do not apply.
CREATE VIEW api.progress WITH (security_invoker = true) AS
SELECT l.id, l.title, count(i.id) AS items, count(i.id) FILTER (WHERE i.done) AS done
FROM data.lists AS l LEFT JOIN data.items AS i ON i.list_id = l.id
GROUP BY l.id;

GRANT SELECT ON api.progress TO lists_user, web_anon;

-- POST /rpc/finish: how many items were still open?
CREATE FUNCTION api.finish(list int) RETURNS bigint LANGUAGE sql AS $$
  WITH finished AS (
    UPDATE data.items SET done = true WHERE list_id = list AND NOT done RETURNING id
  )
  SELECT count(*) FROM finished;
$$;

REVOKE EXECUTE ON FUNCTION api.finish FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.finish TO lists_user;

COMMIT;
