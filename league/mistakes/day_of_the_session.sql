-- The day of the week is that of the session's time zone
CREATE OR REPLACE FUNCTION scheduling.calculate_business_hours(p_salon_id uuid, p_date date)
RETURNS TABLE (
  day_name varchar, is_open boolean, start_time time, end_time time, break_start time, break_end time,
  total_working_minutes integer
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN QUERY
  SELECT
    to_char(p_date::timestamp, 'FMDay')::varchar, oh.is_open, oh.start_time, oh.end_time, oh.break_start, oh.break_end,
    CASE
      WHEN oh.is_open
        THEN GREATEST(floor(EXTRACT(EPOCH FROM span.hours - COALESCE(span.pause, '0')) / 60)::integer, 0)
      ELSE 0
    END
  FROM scheduling.operating_hours oh
  CROSS JOIN LATERAL (
    SELECT
      oh.end_time - oh.start_time
        + CASE WHEN oh.end_time <= oh.start_time THEN interval '24 hours' ELSE '0' END AS hours,
      oh.break_end - oh.break_start
        + CASE WHEN oh.break_end < oh.break_start THEN interval '24 hours' ELSE '0' END AS pause
  ) AS span
  WHERE oh.salon_id = p_salon_id
    AND oh.day_of_week = EXTRACT(DOW FROM p_date::timestamptz AT TIME ZONE 'UTC')::integer
    AND oh.is_active
  ORDER BY oh.is_open DESC NULLS LAST, oh.start_time, oh.end_time, oh.break_start, oh.break_end
  LIMIT 1;
END
$$;
