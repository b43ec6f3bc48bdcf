-- 1.1: The services of an appointment, with their names, durations and prices.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';

-- IF NOT EXISTS, below, would silently accept a table of another shape.
DO $$
DECLARE
  table_name CONSTANT text := 'scheduling.appointment_services';
  columns CONSTANT text[] := ARRAY[
    'id uuid NOT NULL DEFAULT gen_random_uuid()',
    'appointment_id uuid NOT NULL',
    'service_id uuid NOT NULL',
    'staff_id uuid',
    'service_name character varying(255)',
    'duration_minutes integer',
    'price_at_time numeric(10,2)',
    'created_at timestamp with time zone DEFAULT now()',
    'created_by_id uuid',
    'updated_at timestamp with time zone',
    'updated_by_id uuid'
  ];
  difference record;
BEGIN
  SELECT expected, actual
  INTO difference
  FROM unnest(columns) WITH ORDINALITY AS e (expected, place)
  FULL JOIN (
    SELECT
      concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attnotnull THEN 'NOT NULL' END, 'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)),
      row_number() OVER (ORDER BY a.attnum)
    FROM pg_attribute a
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = to_regclass(table_name) AND a.attnum > 0 AND NOT a.attisdropped
  ) AS a (actual, place) USING (place)
  WHERE to_regclass(table_name) IS NOT NULL AND actual IS DISTINCT FROM expected
  ORDER BY place
  LIMIT 1;

  IF FOUND THEN
    RAISE EXCEPTION '% exists in another shape: expected column "%", found "%"',
      table_name, COALESCE(difference.expected, 'none'), COALESCE(difference.actual, 'none')
      USING ERRCODE = '42P16', HINT = 'Rename or remove that table, then run this step again.';
  END IF;
END
$$;

CREATE TABLE IF NOT EXISTS scheduling.appointment_services (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  appointment_id uuid NOT NULL REFERENCES scheduling.appointments (id) ON DELETE CASCADE,
  service_id uuid NOT NULL REFERENCES catalog.services (id) ON DELETE CASCADE,
  staff_id uuid REFERENCES organization.staff_profiles (id) ON DELETE SET NULL,

  -- The values at the time of the booking: the service may change its name and price later.
  service_name varchar(255),
  duration_minutes integer,
  price_at_time numeric(10, 2),

  created_at timestamptz DEFAULT now(),
  created_by_id uuid REFERENCES identity.profiles (id) ON DELETE SET NULL,
  updated_at timestamptz,
  updated_by_id uuid REFERENCES identity.profiles (id) ON DELETE SET NULL,

  -- Repeats NOT NULL. It is here because the plan has it.
  CONSTRAINT valid_appointment_service CHECK (appointment_id IS NOT NULL AND service_id IS NOT NULL),
  CONSTRAINT valid_duration CHECK (duration_minutes IS NULL OR duration_minutes > 0),
  CONSTRAINT valid_price CHECK (price_at_time IS NULL OR price_at_time >= 0)
);

CREATE INDEX IF NOT EXISTS idx_appointment_services_appointment_id
  ON scheduling.appointment_services (appointment_id);
CREATE INDEX IF NOT EXISTS idx_appointment_services_service_id
  ON scheduling.appointment_services (service_id);
CREATE INDEX IF NOT EXISTS idx_appointment_services_staff_id
  ON scheduling.appointment_services (staff_id);
CREATE INDEX IF NOT EXISTS idx_appointment_services_created_at
  ON scheduling.appointment_services (created_at DESC);

ALTER TABLE scheduling.appointment_services ENABLE ROW LEVEL SECURITY;

-- Reading collects the caller's appointments once for each query, and finds their services by the index. One subquery
-- collects all of them: each further one would evaluate the policies of appointments again.
DROP POLICY IF EXISTS "Users view appointment services for their appointments" ON scheduling.appointment_services;
CREATE POLICY "Users view appointment services for their appointments" ON scheduling.appointment_services
  FOR SELECT TO authenticated
  USING (appointment_id = ANY (ARRAY(
    SELECT a.id
    FROM scheduling.appointments a
    WHERE a.customer_id = (SELECT auth.uid())
      OR a.salon_id = ANY (ARRAY(
        SELECT sp.salon_id FROM organization.staff_profiles sp WHERE sp.user_id = (SELECT auth.uid())
        UNION ALL
        SELECT s.id FROM organization.salons s WHERE s.owner_id = (SELECT auth.uid())
      ))
  )));

-- A written row has one appointment: the policy finds it by its key.
DROP POLICY IF EXISTS "Staff can insert appointment services" ON scheduling.appointment_services;
CREATE POLICY "Staff can insert appointment services" ON scheduling.appointment_services
  FOR INSERT TO authenticated
  WITH CHECK (EXISTS (
    SELECT FROM scheduling.appointments a
    JOIN organization.staff_profiles sp ON sp.salon_id = a.salon_id
    WHERE a.id = appointment_services.appointment_id AND sp.user_id = (SELECT auth.uid())
  ));

DROP POLICY IF EXISTS "Staff can update appointment services" ON scheduling.appointment_services;
CREATE POLICY "Staff can update appointment services" ON scheduling.appointment_services
  FOR UPDATE TO authenticated
  USING (EXISTS (
    SELECT FROM scheduling.appointments a
    JOIN organization.staff_profiles sp ON sp.salon_id = a.salon_id
    WHERE a.id = appointment_services.appointment_id AND sp.user_id = (SELECT auth.uid())
  ))
  WITH CHECK (EXISTS (
    SELECT FROM scheduling.appointments a
    JOIN organization.staff_profiles sp ON sp.salon_id = a.salon_id
    WHERE a.id = appointment_services.appointment_id AND sp.user_id = (SELECT auth.uid())
  ));

-- Restrictive: permissive policies are combined with OR, so they cannot refuse anything.
DROP POLICY IF EXISTS "Anon cannot access appointment services" ON scheduling.appointment_services;
CREATE POLICY "Anon cannot access appointment services" ON scheduling.appointment_services
  AS RESTRICTIVE FOR ALL TO anon
  USING (false)
  WITH CHECK (false);

-- The update policy sees the old row or the new one, never both: a staff member of two salons would pass it twice.
-- SECURITY DEFINER: the function must see both appointments.
CREATE OR REPLACE FUNCTION scheduling.keep_appointment_service_in_its_salon() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF (SELECT a.salon_id FROM scheduling.appointments a WHERE a.id = NEW.appointment_id)
    IS DISTINCT FROM (SELECT a.salon_id FROM scheduling.appointments a WHERE a.id = OLD.appointment_id)
  THEN
    RAISE EXCEPTION 'an appointment service cannot move to another salon''s appointment'
      USING ERRCODE = '42501';
  END IF;
  RETURN NEW;
END
$$;

DROP TRIGGER IF EXISTS keep_appointment_service_in_its_salon ON scheduling.appointment_services;
CREATE TRIGGER keep_appointment_service_in_its_salon
  BEFORE UPDATE ON scheduling.appointment_services
  FOR EACH ROW
  WHEN (
    NEW.appointment_id IS DISTINCT FROM OLD.appointment_id
    AND row_security_active('scheduling.appointment_services')
  )
  EXECUTE FUNCTION scheduling.keep_appointment_service_in_its_salon();

-- Default privileges may have granted everything.
REVOKE ALL ON FUNCTION scheduling.keep_appointment_service_in_its_salon() FROM PUBLIC, anon, authenticated, service_role;
REVOKE ALL ON scheduling.appointment_services FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT, INSERT, UPDATE ON scheduling.appointment_services TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON scheduling.appointment_services TO service_role;
