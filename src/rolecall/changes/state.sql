-- What else a block could change besides the rows of tables, as rows of name and value.
SELECT concat('advisory lock ', CASE objsubid WHEN 1 THEN ((classid::bigint << 32) + objid::bigint)::text
  ELSE concat(classid::bigint, ', ', objid::bigint) END), mode
FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted
UNION ALL
SELECT 'temporary table ' || relname, 'exists'
FROM pg_class WHERE relnamespace = pg_my_temp_schema() AND relkind IN ('r', 'v', 'S')
UNION ALL
SELECT 'prepared statement ' || name, statement FROM pg_prepared_statements WHERE from_sql
UNION ALL
SELECT 'listening to ' || channel, 'yes' FROM pg_listening_channels() AS channel
