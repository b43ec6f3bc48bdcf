-- Checks that phase 3's two views and its table are there as the steps make them. Reads only; silent when all is well.
-- After a deliberate change to a view, its md5 here is the one that the error reports as found.

DO $$
DECLARE
  problems text;
  owned_salons CONSTANT text :=
    '(salon_id = ANY (ARRAY( SELECT s.id FROM organization.salons s WHERE (s.owner_id = ( SELECT auth.uid() AS uid)))))';
BEGIN
  -- With nothing on the path every name is shown with its schema, whoever asks.
  PERFORM set_config('search_path', '', true);

  WITH
    -- A view's columns are listed by name: their types are those of the tables, or stand in the definition.
    expected_view (name, columns, definition, comment) AS (VALUES
      (
        'audit.audit_logs_view',
        'id, entity_type, entity_id, action, actor_id, created_at, old_values, new_values, reason, '
          || 'actor_username, actor_email',
        'c47242fc1a4d084134a6c137e83eaef7',
        'The audit trail, newest first, with the name and address of whoever acted where the reader may see that profile.'
      ),
      (
        'engagement.salon_reviews_with_counts_view',
        'id, salon_id, customer_id, rating, content, status, created_at, updated_at, total_reviews, average_rating, '
          || 'five_star_count, four_star_count, three_star_count, two_star_count, one_star_count',
        '4bbb3a3227afd15b6a0b91b77be6b9e5',
        'Reviews, each beside its salon''s number of reviews, average rating and reviews per star.'
      )
    ),
    expected_table (name, grants) AS (VALUES (
      'catalog.service_booking_rules',
      'DELETE to authenticated, DELETE to service_role, INSERT to authenticated, INSERT to service_role, '
        || 'SELECT to authenticated, SELECT to service_role, UPDATE to authenticated, UPDATE to service_role'
    )),
    expected_column (position, definition) AS (VALUES
      (1, 'id uuid NOT NULL DEFAULT gen_random_uuid()'),
      (2, 'service_id uuid NOT NULL'),
      (3, 'salon_id uuid NOT NULL'),
      (4, 'min_notice_minutes integer DEFAULT 0'),
      (5, 'max_advance_days integer DEFAULT 90'),
      (6, 'requires_deposit boolean DEFAULT false'),
      (7, 'deposit_amount numeric(10,2)'),
      (8, 'max_concurrent_bookings integer'),
      (9, 'bookable_by_staff_only boolean DEFAULT false'),
      (10, 'auto_confirm boolean DEFAULT true'),
      (11, 'created_at timestamp with time zone DEFAULT now()'),
      (12, 'updated_at timestamp with time zone')
    ),
    expected_constraint (name, definition) AS (VALUES
      ('service_booking_rules_pkey', 'PRIMARY KEY (id)'),
      ('service_booking_rules_service_id_fkey',
        'FOREIGN KEY (service_id) REFERENCES catalog.services(id) ON DELETE CASCADE'),
      ('service_booking_rules_salon_id_fkey',
        'FOREIGN KEY (salon_id) REFERENCES organization.salons(id) ON DELETE CASCADE'),
      ('valid_minutes', 'CHECK ((min_notice_minutes >= 0))'),
      ('valid_days', 'CHECK ((max_advance_days > 0))'),
      ('valid_concurrent', 'CHECK (((max_concurrent_bookings IS NULL) OR (max_concurrent_bookings > 0)))'),
      ('valid_deposit', 'CHECK (((deposit_amount IS NULL) OR (deposit_amount > (0)::numeric)))')
    ),
    expected_index (name, definition) AS (VALUES
      ('idx_service_booking_rules_unique',
        'CREATE UNIQUE INDEX idx_service_booking_rules_unique ON catalog.service_booking_rules USING btree (service_id, salon_id)'),
      ('idx_service_booking_rules_salon',
        'CREATE INDEX idx_service_booking_rules_salon ON catalog.service_booking_rules USING btree (salon_id)'),
      ('idx_service_booking_rules_service',
        'CREATE INDEX idx_service_booking_rules_service ON catalog.service_booking_rules USING btree (service_id)')
    ),
    expected_policy (name, definition) AS (VALUES
      ('Salon staff can view their booking rules',
        'PERMISSIVE SELECT TO authenticated USING (salon_id = ANY (ARRAY('
          || ' SELECT s.id FROM organization.salons s WHERE (s.owner_id = ( SELECT auth.uid() AS uid))'
          || ' UNION ALL SELECT sp.salon_id FROM organization.staff_profiles sp WHERE (sp.user_id = ( SELECT auth.uid() AS uid)))))'),
      ('Salon owners can manage their booking rules', 'PERMISSIVE INSERT TO authenticated WITH CHECK ' || owned_salons),
      ('Salon owners can update their booking rules',
        'PERMISSIVE UPDATE TO authenticated USING ' || owned_salons || ' WITH CHECK ' || owned_salons),
      ('Salon owners can delete their booking rules', 'PERMISSIVE DELETE TO authenticated USING ' || owned_salons),
      ('Anon cannot access booking rules', 'RESTRICTIVE ALL TO anon USING false WITH CHECK false')
    ),
    relation AS (
      SELECT
        name,
        c.*,
        (
          SELECT string_agg(format('%s to %s', what, grantee), ', ' ORDER BY what COLLATE "C", grantee COLLATE "C")
          FROM (
            SELECT
              concat_ws(' ', acl.privilege_type, '(' || acl.attname || ')', CASE WHEN acl.is_grantable THEN 'with grant option' END),
              COALESCE(r.rolname, 'PUBLIC')
            FROM (
              SELECT NULL AS attname, whole.*
              FROM aclexplode(COALESCE(c.relacl, acldefault('r', c.relowner))) AS whole
              UNION ALL
              SELECT a.attname, one.*
              FROM pg_attribute AS a
              CROSS JOIN LATERAL aclexplode(a.attacl) AS one
              WHERE a.attrelid = c.oid
            ) AS acl
            LEFT JOIN pg_roles AS r ON r.oid = acl.grantee
            WHERE acl.grantee = 0 OR r.rolname IN ('anon', 'authenticated', 'service_role')
          ) AS granted (what, grantee)
        ) AS grants
      FROM (SELECT name FROM expected_view UNION ALL SELECT name FROM expected_table) AS expected
      JOIN pg_class AS c ON c.oid = to_regclass(name)
    ),
    actual_column AS (
      SELECT
        row_number() OVER (ORDER BY a.attnum) AS position,
        concat_ws(
          ' ', a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
          'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)
        ) AS definition
      FROM pg_attribute AS a
      LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE a.attrelid = to_regclass('catalog.service_booking_rules')
        AND a.attnum > 0
        AND NOT a.attisdropped
    ),
    actual_constraint AS (
      SELECT conname AS name, pg_get_constraintdef(oid) AS definition
      FROM pg_constraint
      -- Since version 18 a NOT NULL is a constraint too; here it is part of its column.
      WHERE conrelid = to_regclass('catalog.service_booking_rules') AND contype IN ('p', 'u', 'x', 'c', 'f')
    ),
    actual_index AS (
      SELECT
        c.relname AS name,
        CASE WHEN i.indisvalid THEN pg_get_indexdef(i.indexrelid) ELSE 'an invalid index' END AS definition,
        i.indisunique AS is_unique
      FROM pg_index AS i
      JOIN pg_class AS c ON c.oid = i.indexrelid
      WHERE i.indrelid = to_regclass('catalog.service_booking_rules') AND NOT i.indisprimary
    ),
    actual_policy AS (
      SELECT
        policyname AS name,
        regexp_replace(
          concat_ws(
            ' ', permissive, cmd, 'TO', array_to_string(roles, ', '), 'USING ' || qual, 'WITH CHECK ' || with_check
          ),
          '\s+', ' ', 'g'
        ) AS definition
      FROM pg_policies
      WHERE schemaname = 'catalog' AND tablename = 'service_booking_rules'
    ),
    checks (name, property, expected, actual) AS (
      SELECT e.name, 'kind', e.kind, CASE r.relkind WHEN 'v' THEN 'view' WHEN 'r' THEN 'table' ELSE r.relkind::text END
      FROM (
        SELECT name, 'view' FROM expected_view UNION ALL SELECT name, 'table' FROM expected_table
      ) AS e (name, kind)
      LEFT JOIN relation AS r USING (name)

      UNION ALL
      SELECT e.name, property.*
      FROM expected_view AS e
      JOIN relation AS r USING (name)
      CROSS JOIN LATERAL (VALUES
        ('columns', e.columns, (
          SELECT string_agg(a.attname, ', ' ORDER BY a.attnum)
          FROM pg_attribute AS a
          WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
        )),
        ('options', 'security_invoker=true', array_to_string(r.reloptions, ', ')),
        -- Before version 16 the columns of a view's only table were qualified, too.
        ('md5 of the definition', e.definition, md5(regexp_replace(pg_get_viewdef(r.oid), '\msr\.', '', 'g'))),
        ('comment', e.comment, obj_description(r.oid, 'pg_class')),
        ('grants', 'SELECT to authenticated, SELECT to service_role', r.grants)
      ) AS property (name, expected, actual)

      UNION ALL
      SELECT e.name, property.*
      FROM expected_table AS e
      JOIN relation AS r USING (name)
      CROSS JOIN LATERAL (
        VALUES
          ('row level security', 'on', CASE WHEN r.relrowsecurity THEN 'on' ELSE 'off' END),
          ('row level security for the owner', 'off', CASE WHEN r.relforcerowsecurity THEN 'on' ELSE 'off' END),
          ('grants', e.grants, r.grants)
        UNION ALL
        SELECT 'column ' || position, expected.definition, actual.definition
        FROM expected_column AS expected
        FULL JOIN actual_column AS actual USING (position)
        UNION ALL
        SELECT 'constraint ' || name, expected.definition, actual.definition
        FROM expected_constraint AS expected
        FULL JOIN actual_constraint AS actual USING (name)
        UNION ALL
        -- A further index does no harm; a further unique one refuses rows.
        SELECT 'index ' || name, expected.definition, actual.definition
        FROM expected_index AS expected
        FULL JOIN actual_index AS actual USING (name)
        WHERE expected.name IS NOT NULL OR actual.is_unique
        UNION ALL
        SELECT 'trigger ' || t.tgname, NULL, pg_get_triggerdef(t.oid)
        FROM pg_trigger AS t
        WHERE t.tgrelid = r.oid AND NOT t.tgisinternal
        UNION ALL
        SELECT format('policy "%s"', name), expected.definition, actual.definition
        FROM expected_policy AS expected
        FULL JOIN actual_policy AS actual USING (name)
      ) AS property (name, expected, actual)
    )
  SELECT string_agg(
    format('- %s: %s: expected %s, found %s', name, property, COALESCE(expected, 'none'), COALESCE(actual, 'none')),
    E'\n' ORDER BY name, property
  )
  INTO problems
  FROM checks
  WHERE actual IS DISTINCT FROM expected;

  IF problems IS NOT NULL THEN
    RAISE EXCEPTION E'phase 3 is not as it should be:\n%', problems;
  END IF;
END
$$;
