-- What each statement returns or raises, as the current user. All that it writes is rolled back.
-- The rows are sorted. With count_writes, the number of rows that it wrote, in any table, is part of its result.
CREATE FUNCTION pg_temp.rolecall_results(statements text[], count_writes boolean) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  results text[] := '{}';
  result text;
  statement text;
  written bigint := 0;
  count_query CONSTANT text := $query$
    SELECT sum(pg_stat_get_xact_tuples_inserted(oid) + pg_stat_get_xact_tuples_updated(oid)
               + pg_stat_get_xact_tuples_deleted(oid))
    FROM pg_catalog.pg_class WHERE relkind = 'r' AND oid >= 16384  -- no table of the server itself
  $query$;
  before bigint;
BEGIN
  FOREACH statement IN ARRAY statements LOOP
    BEGIN
      IF count_writes THEN
        EXECUTE count_query INTO before;
      END IF;
      IF statement ~* '^\s*(select|values|table|with)\M' THEN
        EXECUTE format(
          'SELECT string_agg(r::text, E''\n'' ORDER BY r::text COLLATE "C") FROM (%s) AS r', statement) INTO result;
      ELSE
        EXECUTE statement;
        result := NULL;
      END IF;
      IF count_writes THEN
        EXECUTE count_query INTO written;
        written := written - before;
      END IF;
      result := concat('ok ', written, E'\n', result);
      RAISE EXCEPTION USING ERRCODE = 'RC000';
    EXCEPTION
      WHEN SQLSTATE 'RC000' THEN NULL;
      WHEN OTHERS THEN result := concat('error ', SQLSTATE, ' ', SQLERRM);
    END;
    results := results || result;
  END LOOP;
  RETURN results;
END
$$;
