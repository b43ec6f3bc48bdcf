-- F26a: the name of the day is padded to nine characters
-- caught by: tests/functions/test_calculate_business_hours.py::test_each_weekday_has_its_own_hours
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
    to_char(p_date, 'Day')::varchar,
    oh.is_open,
    oh.start_time,
    oh.end_time,
    oh.break_start,
    oh.break_end,
    CASE
      WHEN oh.is_open
        THEN EXTRACT(EPOCH FROM oh.end_time - oh.start_time - COALESCE(oh.break_end - oh.break_start, '0'))::integer / 60
      ELSE 0
    END
  FROM scheduling.operating_hours oh
  WHERE oh.salon_id = p_salon_id
    AND oh.day_of_week = EXTRACT(DOW FROM p_date)::integer
    AND oh.is_active
  ORDER BY oh.is_open DESC NULLS LAST, oh.start_time, oh.end_time, oh.break_start, oh.break_end
  LIMIT 1;
$$;
