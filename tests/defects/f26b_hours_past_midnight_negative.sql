-- F26b: a salon that closes after midnight has negative minutes
-- caught by: tests/functions/test_calculate_business_hours.py::test_without_a_break[past midnight]
-- caught by: tests/functions/test_calculate_business_hours.py::test_with_a_break[after midnight]
-- caught by: tests/functions/test_calculate_business_hours.py::test_with_a_break[longer than the hours]
CREATE OR REPLACE FUNCTION scheduling.calculate_business_hours(p_salon_id uuid, p_date date)
RETURNS TABLE (
  day_name varchar,
  is_open boolean,
  start_time time,
  end_time time,
  break_start time,
  break_end time,
  total_working_minutes integer
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT
    to_char(p_date::timestamp, 'FMDay')::varchar,
    oh.is_open,
    oh.start_time,
    oh.end_time,
    oh.break_start,
    oh.break_end,
    -- As the plan counts: hours and minutes of each difference, with their sign.
    CASE
      WHEN oh.is_open
        THEN EXTRACT(HOUR FROM oh.end_time - oh.start_time)::integer * 60
          + EXTRACT(MINUTE FROM oh.end_time - oh.start_time)::integer
          - COALESCE(EXTRACT(HOUR FROM oh.break_end - oh.break_start)::integer * 60, 0)
          - COALESCE(EXTRACT(MINUTE FROM oh.break_end - oh.break_start)::integer, 0)
      ELSE 0
    END
  FROM scheduling.operating_hours oh
  WHERE oh.salon_id = p_salon_id
    AND oh.day_of_week = EXTRACT(DOW FROM p_date)::integer
    AND oh.is_active
  ORDER BY oh.is_open DESC NULLS LAST, oh.start_time, oh.end_time, oh.break_start, oh.break_end
  LIMIT 1;
$$;
