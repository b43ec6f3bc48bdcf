-- 3.3: service_booking_rules has the rules of a salon for the booking of each service.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';

-- IF NOT EXISTS, below, would silently accept a table of another shape.
DO $$
DECLARE
  table_name CONSTANT text := 'catalog.service_booking_rules';
  columns CONSTANT text[] := ARRAY[
    'id uuid NOT NULL DEFAULT gen_random_uuid()',
    'service_id uuid NOT NULL',
    'salon_id uuid NOT NULL',
    'min_notice_minutes integer DEFAULT 0',
    'max_advance_days integer DEFAULT 90',
    'requires_deposit boolean DEFAULT false',
    'deposit_amount numeric(10,2)',
    'max_concurrent_bookings integer',
    'bookable_by_staff_only boolean DEFAULT false',
    'auto_confirm boolean DEFAULT true',
    'created_at timestamp with time zone DEFAULT now()',
    'updated_at timestamp with time zone'
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

CREATE TABLE IF NOT EXISTS catalog.service_booking_rules (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  service_id uuid NOT NULL REFERENCES catalog.services (id) ON DELETE CASCADE,
  salon_id uuid NOT NULL REFERENCES organization.salons (id) ON DELETE CASCADE,

  min_notice_minutes integer DEFAULT 0,
  max_advance_days integer DEFAULT 90,
  requires_deposit boolean DEFAULT false,
  deposit_amount numeric(10, 2),
  max_concurrent_bookings integer,

  bookable_by_staff_only boolean DEFAULT false,
  auto_confirm boolean DEFAULT true,

  created_at timestamptz DEFAULT now(),
  updated_at timestamptz,

  CONSTRAINT valid_minutes CHECK (min_notice_minutes >= 0),
  CONSTRAINT valid_days CHECK (max_advance_days > 0),
  CONSTRAINT valid_concurrent CHECK (max_concurrent_bookings IS NULL OR max_concurrent_bookings > 0),
  CONSTRAINT valid_deposit CHECK (deposit_amount IS NULL OR deposit_amount > 0)
);

CREATE UNIQUE INDEX IF NOT EXISTS idx_service_booking_rules_unique
  ON catalog.service_booking_rules (service_id, salon_id);
CREATE INDEX IF NOT EXISTS idx_service_booking_rules_salon
  ON catalog.service_booking_rules (salon_id);
CREATE INDEX IF NOT EXISTS idx_service_booking_rules_service
  ON catalog.service_booking_rules (service_id);

ALTER TABLE catalog.service_booking_rules ENABLE ROW LEVEL SECURITY;

-- Each policy collects the caller's salons once for each query: then the index on salon_id finds the rows.
DROP POLICY IF EXISTS "Salon staff can view their booking rules" ON catalog.service_booking_rules;
CREATE POLICY "Salon staff can view their booking rules" ON catalog.service_booking_rules
  FOR SELECT TO authenticated
  USING (salon_id = ANY (ARRAY(
    SELECT s.id FROM organization.salons s WHERE s.owner_id = (SELECT auth.uid())
    UNION ALL
    SELECT sp.salon_id FROM organization.staff_profiles sp WHERE sp.user_id = (SELECT auth.uid())
  )));

DROP POLICY IF EXISTS "Salon owners can manage their booking rules" ON catalog.service_booking_rules;
CREATE POLICY "Salon owners can manage their booking rules" ON catalog.service_booking_rules
  FOR INSERT TO authenticated
  WITH CHECK (salon_id = ANY (ARRAY(
    SELECT s.id FROM organization.salons s WHERE s.owner_id = (SELECT auth.uid())
  )));

DROP POLICY IF EXISTS "Salon owners can update their booking rules" ON catalog.service_booking_rules;
CREATE POLICY "Salon owners can update their booking rules" ON catalog.service_booking_rules
  FOR UPDATE TO authenticated
  USING (salon_id = ANY (ARRAY(
    SELECT s.id FROM organization.salons s WHERE s.owner_id = (SELECT auth.uid())
  )))
  WITH CHECK (salon_id = ANY (ARRAY(
    SELECT s.id FROM organization.salons s WHERE s.owner_id = (SELECT auth.uid())
  )));

DROP POLICY IF EXISTS "Salon owners can delete their booking rules" ON catalog.service_booking_rules;
CREATE POLICY "Salon owners can delete their booking rules" ON catalog.service_booking_rules
  FOR DELETE TO authenticated
  USING (salon_id = ANY (ARRAY(
    SELECT s.id FROM organization.salons s WHERE s.owner_id = (SELECT auth.uid())
  )));

-- Restrictive: it works with any grant, and with any permissive policy that is added later.
DROP POLICY IF EXISTS "Anon cannot access booking rules" ON catalog.service_booking_rules;
CREATE POLICY "Anon cannot access booking rules" ON catalog.service_booking_rules
  AS RESTRICTIVE FOR ALL TO anon
  USING (false)
  WITH CHECK (false);

REVOKE ALL ON catalog.service_booking_rules FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON catalog.service_booking_rules TO authenticated, service_role;
