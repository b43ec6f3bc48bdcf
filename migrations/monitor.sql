-- What to look at after the migration: how the tables grow, which indexes are used, dead rows, slow statements, and what
-- the policies cost. It only reads, and can run after any phase. Answers that need attention come first, with advice.
-- Supabase's SQL editor shows the last result alone, so all answers are rows of one query.

-- Slow statements ------------------------------------------------------------

-- The extension may be missing and may lie in any schema, so its view is queried with EXECUTE. A DO block returns no
-- rows: a setting of the session carries the answers to the query below.
DO $$
DECLARE
  -- What the migrations made, and the two tables that they write to or put policies on.
  about CONSTANT text := 'appointment_services|message_threads|customer_favorites|audit_logs|service_booking_rules'
    '|notifications|storage\W+objects|salon_reviews_with_counts_view|view_blocked_times_with_relations'
    '|view_profile_metadata|view_user_preferences|log_action|send_notification|get_unread_counts?'
    '|calculate_business_hours|calculate_duration_minutes';
  statistics regclass;
  answers jsonb;
BEGIN
  SELECT d.objid::regclass INTO statistics
  FROM pg_depend d
  JOIN pg_class c ON c.oid = d.objid
  WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'e' AND c.relname = 'pg_stat_statements';

  IF statistics IS NULL THEN
    answers := '[{"problem": "pg_stat_statements is not installed",
      "advice": "CREATE EXTENSION pg_stat_statements; on Supabase: Database, Extensions"}]';
  ELSE
    EXECUTE format(
      $query$
        SELECT jsonb_agg(to_jsonb(slowest))
        FROM (
          SELECT regexp_replace(left(query, 200), '\s+', ' ', 'g') AS statement, sum(calls)::bigint AS calls,
            round((sum(total_exec_time) / sum(calls))::numeric, 1) AS mean_ms
          FROM %s
          WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND query ~ $1 AND query !~* '^\s*(EXPLAIN|CREATE|ALTER|DROP|GRANT|REVOKE|COMMENT|DO|ANALYZE|VACUUM)\y'
          GROUP BY 1
          ORDER BY sum(total_exec_time) DESC
          LIMIT 10
        ) AS slowest
      $query$, statistics)
    INTO answers USING about;
  END IF;
  PERFORM set_config('enorae.monitor_statements', COALESCE(answers, '[{"problem": "none was counted"}]')::text, false);
EXCEPTION
  WHEN OTHERS THEN  -- not preloaded, or not readable for this role
    answers := jsonb_build_array(jsonb_build_object('problem', 'pg_stat_statements cannot be read', 'advice', SQLERRM));
    PERFORM set_config('enorae.monitor_statements', answers::text, false);
END
$$;

-- What the policies cost -----------------------------------------------------

-- EXPLAIN plans a query and does not run it: once as a signed-in user without any rows, once as the role of this session.
DO $$
DECLARE
  token CONSTANT text := '{"role": "authenticated", "sub": "00000000-0000-0000-0000-000000000000"}';
  role_before CONSTANT text := current_setting('role');
  claims_before CONSTANT text := COALESCE(current_setting('request.jwt.claims', true), '');
  watched text;
  signed_in jsonb;
  unrestricted jsonb;
  answers jsonb := '{}';
BEGIN
  FOREACH watched IN ARRAY ARRAY[
    'scheduling.appointment_services', 'communication.message_threads', 'engagement.customer_favorites',
    'audit.audit_logs', 'catalog.service_booking_rules', 'communication.notifications', 'storage.objects'
  ] LOOP
    CONTINUE WHEN to_regclass(watched) IS NULL;
    BEGIN
      EXECUTE format('EXPLAIN (FORMAT json) SELECT * FROM %s', watched) INTO unrestricted;
      PERFORM set_config('request.jwt.claims', token, true), set_config('role', 'authenticated', true);
      EXECUTE format('EXPLAIN (FORMAT json) SELECT * FROM %s', watched) INTO signed_in;
      answers := answers || jsonb_build_object(watched, jsonb_build_object(
        'cost', signed_in #> '{0,Plan,Total Cost}',
        'unrestricted', unrestricted #> '{0,Plan,Total Cost}',
        'rows', signed_in #> '{0,Plan,Plan Rows}',
        'scan', jsonb_path_query_first(signed_in, '$.** ? (@."Relation Name" == $name)."Node Type"',
          jsonb_build_object('name', split_part(watched, '.', 2)))
      ));
    EXCEPTION
      WHEN OTHERS THEN  -- the exception has undone both settings
        answers := answers || jsonb_build_object(watched, jsonb_build_object('problem', SQLERRM));
    END;
    PERFORM set_config('role', role_before, true), set_config('request.jwt.claims', claims_before, true);
  END LOOP;
  PERFORM set_config('enorae.monitor_plans', answers::text, false);
END
$$;

-- All answers ----------------------------------------------------------------

WITH limits AS (
  SELECT 1000 AS small_table, 20 AS dead_percent, 100 AS slow_ms, 100 AS many_scans
),
watched (name, phase) AS (
  VALUES
    ('scheduling.appointment_services', 1),
    ('communication.message_threads', 1),
    ('engagement.customer_favorites', 1),
    ('audit.audit_logs', 1),
    ('catalog.service_booking_rules', 3),
    ('communication.notifications', NULL),
    ('storage.objects', NULL)
),
tables AS (
  SELECT w.name, w.phase, s.*, s.n_live_tup > l.small_table AS large
  FROM watched w
  CROSS JOIN limits l
  LEFT JOIN pg_stat_user_tables s ON s.relid = to_regclass(w.name)
),
indexes AS (
  SELECT t.schemaname || '.' || s.indexrelname AS name, s.indexrelid, s.idx_scan, t.large, i.indisvalid, i.indisunique
  FROM tables t
  JOIN pg_stat_user_indexes s ON s.relid = t.relid
  JOIN pg_index i ON i.indexrelid = s.indexrelid
),
policies AS (
  -- "SELECT auth.uid()" is evaluated once a query. What is left after it is removed is evaluated for each row.
  SELECT p.schemaname || '.' || p.tablename AS table_name, p.policyname,
    regexp_replace(concat_ws(' ', p.qual, p.with_check), 'SELECT\s+\(*auth\.\w+\(\)', '', 'gi')
      ~ '\yauth\.\w+\(\)|\ycurrent_setting\(' AS for_each_row
  FROM pg_policies p
),
policies_of_tables AS (
  SELECT table_name, count(*) AS number, count(*) FILTER (WHERE for_each_row) AS slow,
    string_agg(format('"%s"', policyname), ', ' ORDER BY policyname) FILTER (WHERE for_each_row) AS slow_ones
  FROM policies
  GROUP BY table_name
),
plans (name, cost, unrestricted, rows, scan, problem) AS (
  SELECT key, value ->> 'cost', value ->> 'unrestricted', (value ->> 'rows')::numeric, value ->> 'scan',
    value ->> 'problem'
  FROM jsonb_each(current_setting('enorae.monitor_plans')::jsonb)
),
statements (statement, calls, mean_ms, problem, advice) AS (
  SELECT value ->> 'statement', value ->> 'calls', (value ->> 'mean_ms')::numeric, value ->> 'problem', value ->> 'advice'
  FROM jsonb_array_elements(current_setting('enorae.monitor_statements')::jsonb)
),
answers (place, topic, object, measure, value, advice) AS (
  SELECT 1, 'statistics', current_database()::text, 'counted since',
    COALESCE(stats_reset::timestamp(0)::text, 'the database was created'), NULL
  FROM pg_stat_database
  WHERE datname = current_database()

  UNION ALL
  SELECT 2, 'rows', name, 'number and growth',
    CASE WHEN relid IS NULL THEN 'the table does not exist' ELSE
      format('%s rows, %s; inserted %s, updated %s, deleted %s',
        n_live_tup, pg_size_pretty(pg_total_relation_size(relid)), n_tup_ins, n_tup_upd, n_tup_del)
    END,
    CASE WHEN relid IS NULL THEN COALESCE('apply phase ' || phase, 'baseline/requires.sql names what is missing') END
  FROM tables

  UNION ALL
  SELECT 3, 'dead rows', name, 'dead rows',
    format('%s beside %s rows; vacuumed: %s; analyzed: %s', n_dead_tup, n_live_tup,
      COALESCE(GREATEST(last_vacuum, last_autovacuum)::timestamp(0)::text, 'never'),
      COALESCE(GREATEST(last_analyze, last_autoanalyze)::timestamp(0)::text, 'never')),
    CASE
      WHEN n_dead_tup > small_table AND n_dead_tup * 100 > dead_percent * (n_live_tup + n_dead_tup)
        THEN format('VACUUM (ANALYZE) %s;', name)
      WHEN GREATEST(last_analyze, last_autoanalyze) IS NULL AND large THEN format('ANALYZE %s;', name)
    END
  FROM tables CROSS JOIN limits
  WHERE relid IS NOT NULL

  UNION ALL
  SELECT 4, 'index use', name, 'scans of the whole table',
    format('%s, of %s rows on average', seq_scan, COALESCE(seq_tup_read / NULLIF(seq_scan, 0), 0)),
    CASE WHEN seq_scan > many_scans AND seq_tup_read / seq_scan > small_table
      THEN 'some query finds no index: look for it among the slow statements' END
  FROM tables CROSS JOIN limits
  WHERE relid IS NOT NULL

  UNION ALL
  SELECT 5, 'index use', name, 'index scans',
    format('%s, %s', idx_scan, pg_size_pretty(pg_relation_size(indexrelid))),
    CASE
      WHEN NOT indisvalid THEN format('it is not valid: REINDEX INDEX %s;', indexrelid::regclass)
      WHEN idx_scan = 0 AND large AND NOT indisunique
        THEN 'no query has used it: if that stays so, see F92 and F93 of docs/findings.md'
    END
  FROM indexes

  UNION ALL
  SELECT 6, 'slow statements', COALESCE(statement, problem), 'time',
    CASE WHEN problem IS NULL THEN format('%s ms on average, %s calls', mean_ms, calls) END,
    COALESCE(advice, CASE WHEN mean_ms > slow_ms THEN 'EXPLAIN (ANALYZE, BUFFERS) it as the user who waits for it' END)
  FROM statements CROSS JOIN limits

  UNION ALL
  SELECT 7, 'policies', table_name, 'evaluated for each row', format('%s of %s policies', slow, number),
    'write (SELECT auth.uid()) in ' || slow_ones
  FROM policies_of_tables
  WHERE table_name IN (SELECT name FROM watched)

  UNION ALL
  SELECT 8, 'policies', name, 'estimated cost of SELECT *',
    COALESCE(problem, format('%s signed in (%s), %s without policies', cost, scan, unrestricted)),
    CASE
      WHEN problem IS NOT NULL THEN 'the role of this session cannot act as authenticated, or authenticated has no grant'
      WHEN scan = 'Seq Scan' AND large AND rows * 10 < n_live_tup
        THEN 'each query reads the whole table for few rows: does verify.sql miss an index?'
    END
  FROM plans JOIN tables USING (name)
)
SELECT topic, object, measure, value, COALESCE(advice, '') AS advice
FROM answers
ORDER BY answers.advice IS NULL, place, object;
