-- 2.2.2: calculate_duration_minutes returns the total duration of the listed services.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION catalog.calculate_duration_minutes(p_service_ids uuid[])
RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  -- EPOCH is the whole interval in seconds: a day is 24 hours, a month 30 days, a year 365.25 days.
  -- A negative duration counts as 0, so that a slip in one service cannot shorten the others.
  -- Only whole minutes of the total count. A service that is listed twice counts once.
  SELECT COALESCE(floor(sum(GREATEST(EXTRACT(EPOCH FROM s.duration_range), 0)) / 60)::integer, 0)
  FROM catalog.services s
  WHERE s.id = ANY (p_service_ids)
    AND s.is_active;
$$;

COMMENT ON FUNCTION catalog.calculate_duration_minutes(uuid[]) IS
  'The total minutes of the listed active services.';

REVOKE ALL ON FUNCTION catalog.calculate_duration_minutes(uuid[])
  FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION catalog.calculate_duration_minutes(uuid[])
  TO authenticated, service_role;
