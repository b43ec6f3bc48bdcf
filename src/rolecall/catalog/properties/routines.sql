-- Functions, procedures and aggregates.
SELECT 'routine', full_name, '', property, value
FROM routine f
JOIN pg_language l ON l.oid = prolang
LEFT JOIN pg_aggregate g ON g.aggfnoid = f.oid
CROSS JOIN LATERAL (VALUES
  (1, 'kind', CASE prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' WHEN 'w' THEN 'window function'
                           ELSE 'function' END),
  (2, 'owner', pg_get_userbyid(proowner)),
  (3, 'security', CASE WHEN prosecdef THEN 'definer' ELSE 'invoker' END),
  (4, 'arguments', NULLIF(pg_get_function_arguments(f.oid), '')),
  (5, 'result', pg_get_function_result(f.oid)),
  (6, 'language', lanname),
  (7, 'settings', (SELECT string_agg(setting, '; ' ORDER BY setting) FROM unnest(proconfig) AS c (setting))),
  (8, 'volatility', CASE provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END),
  (9, 'on NULL', CASE WHEN proisstrict THEN 'not called' ELSE 'called' END),
  (10, 'body', CASE
        WHEN prokind = 'a' THEN concat_ws(' ', aggkind, aggtransfn::regproc, aggfinalfn::regproc,
                                          format_type(aggtranstype, NULL), agginitval)
        ELSE COALESCE(pg_get_function_sqlbody(f.oid), concat_ws(' ', probin, replace(prosrc, E'\r', ''))) END),
  (11, 'parallel', CASE proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END),
  (12, 'leakproof', CASE WHEN proleakproof THEN 'yes' ELSE 'no' END),
  (13, 'cost', concat_ws(', rows ', procost, NULLIF(prorows, 0))),
  (14, 'comment', (SELECT description FROM pg_description WHERE objoid = f.oid AND classoid = 'pg_proc'::regclass))
) AS properties (position, property, value)
WHERE value IS NOT NULL
ORDER BY full_name, position
