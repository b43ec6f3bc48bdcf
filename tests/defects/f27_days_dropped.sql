-- F27: a service of a day and two hours takes two hours
-- caught by: tests/functions/test_calculate_duration_minutes.py::test_one_service[a day and two hours]
-- caught by: tests/functions/test_calculate_duration_minutes.py::test_several_services[minutes and days]
CREATE OR REPLACE FUNCTION catalog.calculate_duration_minutes(p_service_ids uuid[]) RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT COALESCE(
    sum(EXTRACT(HOUR FROM s.duration_range)::integer * 60 + EXTRACT(MINUTE FROM s.duration_range)::integer)::integer,
    0
  )
  FROM catalog.services s
  WHERE s.id = ANY (p_service_ids)
    AND s.is_active;
$$;
