-- Event triggers. They belong to the database.
SELECT 'event trigger', quote_ident(evtname), '', property, value
FROM pg_event_trigger e
CROSS JOIN LATERAL (VALUES
  (1, 'kind', 'event trigger'),
  (2, 'owner', pg_get_userbyid(evtowner)),
  (3, 'definition', concat_ws(' ', 'on', evtevent, 'calls', evtfoid::regproc)),
  (4, 'enabled', CASE evtenabled WHEN 'D' THEN 'no' ELSE 'yes' END)
) AS properties (position, property, value)
WHERE ('pg_event_trigger'::regclass, e.oid) NOT IN (SELECT classid, objid FROM extension_member)
ORDER BY evtname, position
