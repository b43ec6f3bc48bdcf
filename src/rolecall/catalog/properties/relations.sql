-- Tables, views and sequences.
SELECT 'relation', full_name, '', property, value
FROM relation r
LEFT JOIN pg_sequence q ON q.seqrelid = r.oid
CROSS JOIN LATERAL (
  SELECT relkind IN ('r', 'p', 'f') AS is_table, relkind IN ('v', 'm') AS is_view,
         (SELECT jsonb_object_agg(option_name, option_value) FROM pg_options_to_table(reloptions)) AS options
) AS derived
CROSS JOIN LATERAL (VALUES
  (1, 'kind', CASE relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'f' THEN 'foreign table'
                           WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'sequence' END),
  (2, 'owner', pg_get_userbyid(relowner)),
  (3, 'row level security', CASE WHEN is_table THEN CASE WHEN relrowsecurity THEN 'on' ELSE 'off' END END),
  (4, 'forced row level security', CASE WHEN is_table THEN CASE WHEN relforcerowsecurity THEN 'on' ELSE 'off' END END),
  (5, 'persistence', CASE WHEN is_table THEN CASE relpersistence WHEN 'u' THEN 'unlogged' ELSE 'permanent' END END),
  (6, 'inherits from', (SELECT string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno)
                        FROM pg_inherits WHERE inhrelid = r.oid)),
  (7, 'partitioned by', pg_get_partkeydef(r.oid)),
  (8, 'partition bound', pg_get_expr(relpartbound, r.oid)),
  (9, 'order of columns', CASE WHEN is_table OR is_view THEN (
        SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum)
        FROM pg_attribute WHERE attrelid = r.oid AND attnum > 0 AND NOT attisdropped) END),
  (10, 'security_invoker', CASE WHEN relkind = 'v' THEN COALESCE(options ->> 'security_invoker', 'off')::boolean::text END),
  (11, 'security_barrier', CASE WHEN relkind = 'v' THEN COALESCE(options ->> 'security_barrier', 'off')::boolean::text END),
  (12, 'check option', options ->> 'check_option'),
  (13, 'query', CASE WHEN is_view THEN rtrim(btrim(pg_get_viewdef(r.oid)), ';') END),
  (14, 'replica identity', CASE WHEN is_table THEN CASE relreplident
        WHEN 'd' THEN 'default' WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' ELSE 'an index' END END),
  (15, 'storage parameters', (
        SELECT string_agg(option_name || '=' || option_value, ', ' ORDER BY option_name)
        FROM pg_options_to_table(reloptions)
        WHERE option_name NOT IN ('security_invoker', 'security_barrier', 'check_option'))),
  (16, 'type', format_type(seqtypid, NULL)),
  (17, 'values', 'from ' || seqmin || ' to ' || seqmax || ', start ' || seqstart || ', increment ' || seqincrement
        || CASE WHEN seqcycle THEN ', cycle' ELSE '' END),
  (18, 'comment', (SELECT description FROM pg_description
                   WHERE objoid = r.oid AND classoid = 'pg_class'::regclass AND objsubid = 0))
) AS properties (position, property, value)
WHERE value IS NOT NULL
ORDER BY full_name, position
