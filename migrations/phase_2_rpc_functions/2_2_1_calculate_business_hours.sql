-- 2.2.1: calculate_business_hours returns the opening hours of a salon on a date, and their minutes.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';

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
    -- FM drops the padding. The cast keeps the session's time zone, which may lack that day, out of it.
    to_char(p_date::timestamp, 'FMDay')::varchar,
    oh.is_open,
    oh.start_time,
    oh.end_time,
    oh.break_start,
    oh.break_end,
    -- A missing pause is none; missing hours are NULL, which GREATEST passes over. Never below 0.
    CASE
      WHEN oh.is_open
        THEN GREATEST(floor(EXTRACT(EPOCH FROM span.hours - COALESCE(span.pause, '0')) / 60)::integer, 0)
      ELSE 0
    END
  FROM scheduling.operating_hours oh
  CROSS JOIN LATERAL (
    -- An end before its start lies on the next day, and hours without length are the whole day. Half a break is NULL.
    SELECT
      oh.end_time - oh.start_time
        + CASE WHEN oh.end_time <= oh.start_time THEN interval '24 hours' ELSE '0' END AS hours,
      oh.break_end - oh.break_start
        + CASE WHEN oh.break_end < oh.break_start THEN interval '24 hours' ELSE '0' END AS pause
  ) AS span
  WHERE oh.salon_id = p_salon_id
    AND oh.day_of_week = EXTRACT(DOW FROM p_date)::integer
    AND oh.is_active
  -- Where a day has several rows it is always the same one: an open one first, then the earliest.
  ORDER BY oh.is_open DESC NULLS LAST, oh.start_time, oh.end_time, oh.break_start, oh.break_end
  LIMIT 1;
$$;

COMMENT ON FUNCTION scheduling.calculate_business_hours(uuid, date) IS
  'The opening hours of a salon on a date, and their minutes without the break.';

REVOKE ALL ON FUNCTION scheduling.calculate_business_hours(uuid, date)
  FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION scheduling.calculate_business_hours(uuid, date)
  TO authenticated, service_role;
