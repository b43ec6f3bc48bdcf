-- 1.3: The salons that a customer likes, with the customer's notes and rating, and a view of them.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';

-- IF NOT EXISTS, below, would silently accept a table of another shape.
DO $$
DECLARE
  table_name CONSTANT text := 'engagement.customer_favorites';
  columns CONSTANT text[] := ARRAY[
    'id uuid NOT NULL DEFAULT gen_random_uuid()',
    'customer_id uuid NOT NULL',
    'salon_id uuid NOT NULL',
    'notes text',
    'rating integer',
    'is_favorite boolean DEFAULT true',
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

CREATE TABLE IF NOT EXISTS engagement.customer_favorites (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  customer_id uuid NOT NULL REFERENCES identity.profiles (id) ON DELETE CASCADE,
  salon_id uuid NOT NULL REFERENCES organization.salons (id) ON DELETE CASCADE,

  notes text,
  rating integer CHECK (rating IS NULL OR (rating >= 1 AND rating <= 5)),
  is_favorite boolean DEFAULT true,

  created_at timestamptz DEFAULT now(),
  created_by_id uuid REFERENCES identity.profiles (id) ON DELETE SET NULL,
  updated_at timestamptz,
  updated_by_id uuid REFERENCES identity.profiles (id) ON DELETE SET NULL,

  -- Repeats NOT NULL. It is here because the plan has it.
  CONSTRAINT valid_customer_salon CHECK (customer_id IS NOT NULL AND salon_id IS NOT NULL)
);

CREATE UNIQUE INDEX IF NOT EXISTS idx_customer_favorites_unique
  ON engagement.customer_favorites (customer_id, salon_id)
  WHERE is_favorite = true;
CREATE INDEX IF NOT EXISTS idx_customer_favorites_customer
  ON engagement.customer_favorites (customer_id);
CREATE INDEX IF NOT EXISTS idx_customer_favorites_salon
  ON engagement.customer_favorites (salon_id);
CREATE INDEX IF NOT EXISTS idx_customer_favorites_created_at
  ON engagement.customer_favorites (created_at DESC);

ALTER TABLE engagement.customer_favorites ENABLE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS "Customers can view their own favorites" ON engagement.customer_favorites;
CREATE POLICY "Customers can view their own favorites" ON engagement.customer_favorites
  FOR SELECT TO authenticated
  USING (customer_id = (SELECT auth.uid()));

DROP POLICY IF EXISTS "Customers can add favorites" ON engagement.customer_favorites;
CREATE POLICY "Customers can add favorites" ON engagement.customer_favorites
  FOR INSERT TO authenticated
  WITH CHECK (customer_id = (SELECT auth.uid()));

DROP POLICY IF EXISTS "Customers can update their own favorites" ON engagement.customer_favorites;
CREATE POLICY "Customers can update their own favorites" ON engagement.customer_favorites
  FOR UPDATE TO authenticated
  USING (customer_id = (SELECT auth.uid()))
  WITH CHECK (customer_id = (SELECT auth.uid()));

DROP POLICY IF EXISTS "Customers can remove their own favorites" ON engagement.customer_favorites;
CREATE POLICY "Customers can remove their own favorites" ON engagement.customer_favorites
  FOR DELETE TO authenticated
  USING (customer_id = (SELECT auth.uid()));

-- Restrictive: permissive policies are combined with OR, so they cannot refuse anything.
DROP POLICY IF EXISTS "Anon cannot access favorites" ON engagement.customer_favorites;
CREATE POLICY "Anon cannot access favorites" ON engagement.customer_favorites
  AS RESTRICTIVE FOR ALL TO anon
  USING (false)
  WITH CHECK (false);

-- Default privileges may have granted everything.
REVOKE ALL ON engagement.customer_favorites FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON engagement.customer_favorites TO authenticated, service_role;

-- security_invoker: the view shows a caller no more than the tables do.
CREATE OR REPLACE VIEW engagement.customer_favorites_view WITH (security_invoker = true) AS
SELECT
  cf.id,
  cf.customer_id,
  cf.salon_id,
  cf.notes,
  cf.rating,
  s.name AS salon_name,
  s.slug AS salon_slug,
  s.description,
  s.image_url,
  cf.created_at,
  cf.updated_at
FROM engagement.customer_favorites cf
LEFT JOIN organization.salons s ON s.id = cf.salon_id
WHERE cf.is_favorite = true;

COMMENT ON VIEW engagement.customer_favorites_view IS
  'The favourites of a customer, each with its salon.';

REVOKE ALL ON engagement.customer_favorites_view FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT ON engagement.customer_favorites_view TO authenticated, service_role;
