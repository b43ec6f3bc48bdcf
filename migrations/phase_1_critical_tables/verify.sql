-- Checks that phase 1 stands as its steps make it. Reads only; silent when all is well.
-- After a deliberate change, what to write here is what the error reports as found.

DO $$
DECLARE
  path_before text := current_setting('search_path');
  problems text;
BEGIN
  -- So that every text below names things with their schema, whoever runs this.
  PERFORM set_config('search_path', '', true);

  WITH
    -- One fact a line: a property, a colon, its value.
    facts (object, facts) AS (VALUES
      ('schema identity', ARRAY['kind: schema', 'usage: authenticated, service_role']),
      ('schema organization', ARRAY['kind: schema', 'usage: authenticated, service_role']),
      ('schema catalog', ARRAY['kind: schema', 'usage: authenticated, service_role']),
      ('schema scheduling', ARRAY['kind: schema', 'usage: authenticated, service_role']),
      ('schema communication', ARRAY['kind: schema', 'usage: authenticated, service_role']),
      ('schema engagement', ARRAY['kind: schema', 'usage: authenticated, service_role']),
      ('schema audit', ARRAY['kind: schema', 'usage: authenticated, service_role']),

      ('scheduling.appointment_services', ARRAY[
        'kind: table',
        'column 01: id uuid NOT NULL DEFAULT gen_random_uuid()',
        'column 02: appointment_id uuid NOT NULL',
        'column 03: service_id uuid NOT NULL',
        'column 04: staff_id uuid',
        'column 05: service_name character varying(255)',
        'column 06: duration_minutes integer',
        'column 07: price_at_time numeric(10,2)',
        'column 08: created_at timestamp with time zone DEFAULT now()',
        'column 09: created_by_id uuid',
        'column 10: updated_at timestamp with time zone',
        'column 11: updated_by_id uuid',
        'constraint appointment_services_appointment_id_fkey: FOREIGN KEY (appointment_id) '
          || 'REFERENCES scheduling.appointments(id) ON DELETE CASCADE',
        'constraint appointment_services_created_by_id_fkey: FOREIGN KEY (created_by_id) '
          || 'REFERENCES identity.profiles(id) ON DELETE SET NULL',
        'constraint appointment_services_pkey: PRIMARY KEY (id)',
        'constraint appointment_services_service_id_fkey: FOREIGN KEY (service_id) '
          || 'REFERENCES catalog.services(id) ON DELETE CASCADE',
        'constraint appointment_services_staff_id_fkey: FOREIGN KEY (staff_id) '
          || 'REFERENCES organization.staff_profiles(id) ON DELETE SET NULL',
        'constraint appointment_services_updated_by_id_fkey: FOREIGN KEY (updated_by_id) '
          || 'REFERENCES identity.profiles(id) ON DELETE SET NULL',
        'constraint valid_appointment_service: CHECK (((appointment_id IS NOT NULL) '
          || 'AND (service_id IS NOT NULL)))',
        'constraint valid_duration: CHECK (((duration_minutes IS NULL) OR (duration_minutes > 0)))',
        'constraint valid_price: CHECK (((price_at_time IS NULL) OR (price_at_time >= (0)::numeric)))',
        'index idx_appointment_services_appointment_id: btree (appointment_id)',
        'index idx_appointment_services_created_at: btree (created_at DESC)',
        'index idx_appointment_services_service_id: btree (service_id)',
        'index idx_appointment_services_staff_id: btree (staff_id)',
        'row level security: on',
        'policy "Anon cannot access appointment services": RESTRICTIVE FOR ALL TO anon USING false '
          || 'WITH CHECK false',
        'policy "Staff can insert appointment services": PERMISSIVE FOR INSERT TO authenticated '
          || 'WITH CHECK (EXISTS ( SELECT FROM (scheduling.appointments a '
          || 'JOIN organization.staff_profiles sp ON ((sp.salon_id = a.salon_id))) '
          || 'WHERE ((a.id = appointment_services.appointment_id) '
          || 'AND (sp.user_id = ( SELECT auth.uid() AS uid)))))',
        'policy "Staff can update appointment services": PERMISSIVE FOR UPDATE TO authenticated '
          || 'USING (EXISTS ( SELECT FROM (scheduling.appointments a '
          || 'JOIN organization.staff_profiles sp ON ((sp.salon_id = a.salon_id))) '
          || 'WHERE ((a.id = appointment_services.appointment_id) '
          || 'AND (sp.user_id = ( SELECT auth.uid() AS uid))))) '
          || 'WITH CHECK (EXISTS ( SELECT FROM (scheduling.appointments a '
          || 'JOIN organization.staff_profiles sp ON ((sp.salon_id = a.salon_id))) '
          || 'WHERE ((a.id = appointment_services.appointment_id) '
          || 'AND (sp.user_id = ( SELECT auth.uid() AS uid)))))',
        'policy "Users view appointment services for their appointments": PERMISSIVE FOR SELECT TO authenticated '
          || 'USING (appointment_id = ANY (ARRAY( SELECT a.id FROM scheduling.appointments a '
          || 'WHERE ((a.customer_id = ( SELECT auth.uid() AS uid)) OR (a.salon_id = ANY (ARRAY( SELECT sp.salon_id '
          || 'FROM organization.staff_profiles sp WHERE (sp.user_id = ( SELECT auth.uid() AS uid)) '
          || 'UNION ALL SELECT s.id FROM organization.salons s '
          || 'WHERE (s.owner_id = ( SELECT auth.uid() AS uid)))))))))',
        'trigger keep_appointment_service_in_its_salon: BEFORE UPDATE ON scheduling.appointment_services '
          || 'FOR EACH ROW WHEN (((new.appointment_id IS DISTINCT FROM old.appointment_id) '
          || 'AND row_security_active(''scheduling.appointment_services''::text))) '
          || 'EXECUTE FUNCTION scheduling.keep_appointment_service_in_its_salon()',
        'grants to authenticated: INSERT, SELECT, UPDATE',
        'grants to service_role: DELETE, INSERT, SELECT, UPDATE'
      ]),

      ('scheduling.keep_appointment_service_in_its_salon', ARRAY[
        'kind: function',
        'arguments: ',
        'result: trigger',
        'attributes: plpgsql, volatile, security definer, search_path=pg_catalog, pg_temp',
        'md5 of the body: 25c488f8a17c6b8cf6dda7f5e5b21c84'
      ]),

      ('communication.message_threads', ARRAY[
        'kind: table',
        'column 01: id uuid NOT NULL DEFAULT gen_random_uuid()',
        'column 02: created_by_id uuid NOT NULL',
        'column 03: recipient_id uuid NOT NULL',
        'column 04: subject character varying(500)',
        'column 05: description text',
        'column 06: salon_id uuid',
        'column 07: appointment_id uuid',
        'column 08: is_archived boolean DEFAULT false',
        'column 09: is_deleted boolean DEFAULT false',
        'column 10: last_message_at timestamp with time zone',
        'column 11: unread_count integer DEFAULT 0',
        'column 12: created_at timestamp with time zone DEFAULT now()',
        'column 13: updated_at timestamp with time zone',
        'column 14: metadata jsonb DEFAULT ''{}''::jsonb',
        'constraint message_threads_appointment_id_fkey: FOREIGN KEY (appointment_id) '
          || 'REFERENCES scheduling.appointments(id) ON DELETE SET NULL',
        'constraint message_threads_created_by_id_fkey: FOREIGN KEY (created_by_id) '
          || 'REFERENCES identity.profiles(id) ON DELETE CASCADE',
        'constraint message_threads_pkey: PRIMARY KEY (id)',
        'constraint message_threads_recipient_id_fkey: FOREIGN KEY (recipient_id) '
          || 'REFERENCES identity.profiles(id) ON DELETE CASCADE',
        'constraint message_threads_salon_id_fkey: FOREIGN KEY (salon_id) '
          || 'REFERENCES organization.salons(id) ON DELETE SET NULL',
        'constraint valid_dates: CHECK (((last_message_at IS NULL) OR (last_message_at >= created_at)))',
        'constraint valid_participants: CHECK ((created_by_id <> recipient_id))',
        'constraint valid_unread: CHECK ((unread_count >= 0))',
        'index idx_message_threads_appointment: btree (appointment_id)',
        'index idx_message_threads_created_at: btree (created_at DESC)',
        'index idx_message_threads_created_by: btree (created_by_id)',
        'index idx_message_threads_last_message_at: btree (last_message_at DESC NULLS LAST)',
        'index idx_message_threads_participants: btree (created_by_id, recipient_id)',
        'index idx_message_threads_recipient: btree (recipient_id)',
        'index idx_message_threads_salon: btree (salon_id)',
        'unique index idx_message_threads_unique_active: btree (LEAST(created_by_id, recipient_id), '
          || 'GREATEST(created_by_id, recipient_id)) WHERE (is_deleted = false)',
        'row level security: on',
        'policy "Anon cannot access threads": RESTRICTIVE FOR ALL TO anon USING false WITH CHECK false',
        'policy "Users can create threads": PERMISSIVE FOR INSERT TO authenticated '
          || 'WITH CHECK ((created_by_id = ( SELECT auth.uid() AS uid)) AND (created_by_id <> recipient_id))',
        'policy "Users can soft-delete their threads": PERMISSIVE FOR DELETE TO authenticated '
          || 'USING (((created_by_id = ( SELECT auth.uid() AS uid)) '
          || 'OR (recipient_id = ( SELECT auth.uid() AS uid))) AND (is_deleted = false))',
        'policy "Users can update their threads": PERMISSIVE FOR UPDATE TO authenticated '
          || 'USING (((created_by_id = ( SELECT auth.uid() AS uid)) '
          || 'OR (recipient_id = ( SELECT auth.uid() AS uid))) AND (is_deleted = false)) '
          || 'WITH CHECK (((created_by_id = ( SELECT auth.uid() AS uid)) '
          || 'OR (recipient_id = ( SELECT auth.uid() AS uid))) AND (is_deleted = false))',
        'policy "Users can view their own threads": PERMISSIVE FOR SELECT TO authenticated '
          || 'USING (((created_by_id = ( SELECT auth.uid() AS uid)) '
          || 'OR (recipient_id = ( SELECT auth.uid() AS uid))) AND (is_deleted = false))',
        'trigger keep_thread_participants: BEFORE UPDATE ON communication.message_threads FOR EACH ROW '
          || 'WHEN ((((new.created_by_id IS DISTINCT FROM old.created_by_id) '
          || 'OR (new.recipient_id IS DISTINCT FROM old.recipient_id)) '
          || 'AND row_security_active(''communication.message_threads''::text))) '
          || 'EXECUTE FUNCTION communication.keep_thread_participants()',
        'trigger soft_delete_thread: BEFORE DELETE ON communication.message_threads FOR EACH ROW '
          || 'WHEN (row_security_active(''communication.message_threads''::text)) '
          || 'EXECUTE FUNCTION communication.soft_delete_thread()',
        'grants to authenticated: DELETE, INSERT, SELECT, UPDATE',
        'grants to service_role: DELETE, INSERT, SELECT, UPDATE'
      ]),

      ('communication.soft_delete_thread', ARRAY[
        'kind: function',
        'arguments: ',
        'result: trigger',
        'attributes: plpgsql, volatile, security definer, search_path=pg_catalog, pg_temp',
        'md5 of the body: 5e7ba9b7ac812a77725180b597a354db'
      ]),

      ('communication.keep_thread_participants', ARRAY[
        'kind: function',
        'arguments: ',
        'result: trigger',
        'attributes: plpgsql, volatile, security invoker, search_path=pg_catalog, pg_temp',
        'md5 of the body: 3aa6a6cd54c6cd0481d1c1f0bfc333fa'
      ]),

      ('engagement.customer_favorites', ARRAY[
        'kind: table',
        'column 01: id uuid NOT NULL DEFAULT gen_random_uuid()',
        'column 02: customer_id uuid NOT NULL',
        'column 03: salon_id uuid NOT NULL',
        'column 04: notes text',
        'column 05: rating integer',
        'column 06: is_favorite boolean DEFAULT true',
        'column 07: created_at timestamp with time zone DEFAULT now()',
        'column 08: created_by_id uuid',
        'column 09: updated_at timestamp with time zone',
        'column 10: updated_by_id uuid',
        'constraint customer_favorites_created_by_id_fkey: FOREIGN KEY (created_by_id) '
          || 'REFERENCES identity.profiles(id) ON DELETE SET NULL',
        'constraint customer_favorites_customer_id_fkey: FOREIGN KEY (customer_id) '
          || 'REFERENCES identity.profiles(id) ON DELETE CASCADE',
        'constraint customer_favorites_pkey: PRIMARY KEY (id)',
        'constraint customer_favorites_rating_check: CHECK (((rating IS NULL) OR ((rating >= 1) '
          || 'AND (rating <= 5))))',
        'constraint customer_favorites_salon_id_fkey: FOREIGN KEY (salon_id) '
          || 'REFERENCES organization.salons(id) ON DELETE CASCADE',
        'constraint customer_favorites_updated_by_id_fkey: FOREIGN KEY (updated_by_id) '
          || 'REFERENCES identity.profiles(id) ON DELETE SET NULL',
        'constraint valid_customer_salon: CHECK (((customer_id IS NOT NULL) AND (salon_id IS NOT NULL)))',
        'index idx_customer_favorites_created_at: btree (created_at DESC)',
        'index idx_customer_favorites_customer: btree (customer_id)',
        'index idx_customer_favorites_salon: btree (salon_id)',
        'unique index idx_customer_favorites_unique: btree (customer_id, salon_id) WHERE (is_favorite = true)',
        'row level security: on',
        'policy "Anon cannot access favorites": RESTRICTIVE FOR ALL TO anon USING false WITH CHECK false',
        'policy "Customers can add favorites": PERMISSIVE FOR INSERT TO authenticated '
          || 'WITH CHECK (customer_id = ( SELECT auth.uid() AS uid))',
        'policy "Customers can remove their own favorites": PERMISSIVE FOR DELETE TO authenticated '
          || 'USING (customer_id = ( SELECT auth.uid() AS uid))',
        'policy "Customers can update their own favorites": PERMISSIVE FOR UPDATE TO authenticated '
          || 'USING (customer_id = ( SELECT auth.uid() AS uid)) '
          || 'WITH CHECK (customer_id = ( SELECT auth.uid() AS uid))',
        'policy "Customers can view their own favorites": PERMISSIVE FOR SELECT TO authenticated '
          || 'USING (customer_id = ( SELECT auth.uid() AS uid))',
        'grants to authenticated: DELETE, INSERT, SELECT, UPDATE',
        'grants to service_role: DELETE, INSERT, SELECT, UPDATE'
      ]),

      ('engagement.customer_favorites_view', ARRAY[
        'kind: view',
        'options: security_invoker=true',
        'definition: SELECT cf.id, cf.customer_id, cf.salon_id, cf.notes, cf.rating, s.name AS salon_name, '
          || 's.slug AS salon_slug, s.description, s.image_url, cf.created_at, cf.updated_at '
          || 'FROM (engagement.customer_favorites cf LEFT JOIN organization.salons s ON ((s.id = cf.salon_id))) '
          || 'WHERE (cf.is_favorite = true);',
        'comment: A customer''s favourites, each with the salon that it names.',
        'grants to authenticated: SELECT',
        'grants to service_role: SELECT'
      ]),

      ('audit.audit_logs', ARRAY[
        'kind: table',
        'column 01: id uuid NOT NULL DEFAULT gen_random_uuid()',
        'column 02: entity_type character varying(100) NOT NULL',
        'column 03: entity_id uuid',
        'column 04: action character varying(100) NOT NULL',
        'column 05: actor_id uuid',
        'column 06: created_at timestamp with time zone DEFAULT now()',
        'column 07: old_values jsonb',
        'column 08: new_values jsonb',
        'column 09: change_summary text',
        'column 10: reason text',
        'column 11: source_system character varying(100)',
        'column 12: ip_address inet',
        'column 13: user_agent text',
        'column 14: metadata jsonb DEFAULT ''{}''::jsonb',
        'constraint audit_logs_actor_id_fkey: FOREIGN KEY (actor_id) '
          || 'REFERENCES identity.profiles(id) ON DELETE SET NULL',
        'constraint audit_logs_pkey: PRIMARY KEY (id)',
        'constraint valid_action: CHECK ((((entity_type)::text ~ ''\S''::text) AND ((action)::text ~ ''\S''::text)))',
        'index idx_audit_logs_action: btree (action)',
        'index idx_audit_logs_actor: btree (actor_id)',
        'index idx_audit_logs_created_at: btree (created_at DESC)',
        'index idx_audit_logs_entity: btree (entity_type, entity_id)',
        'index idx_audit_logs_recent: btree (entity_type, created_at DESC)',
        'row level security: on',
        'policy "Anon cannot access audit logs": RESTRICTIVE FOR ALL TO anon USING false WITH CHECK false',
        'policy "Authenticated users can view audit logs": PERMISSIVE FOR SELECT TO authenticated '
          || 'USING (( SELECT auth.uid() AS uid) IS NOT NULL)',
        'policy "System can insert audit logs": PERMISSIVE FOR INSERT TO authenticated '
          || 'WITH CHECK (actor_id = ( SELECT auth.uid() AS uid))',
        'grants to authenticated: INSERT, SELECT',
        'grants to service_role: INSERT, SELECT'
      ]),

      ('audit.audit_logs_view', ARRAY[
        'kind: view',
        'options: security_invoker=true',
        'definition: SELECT al.id, al.entity_type, al.entity_id, al.action, al.actor_id, al.created_at, '
          || 'al.old_values, al.new_values, al.reason, p.username AS actor_username, p.email AS actor_email '
          || 'FROM (audit.audit_logs al LEFT JOIN identity.profiles p ON ((p.id = al.actor_id))) '
          || 'ORDER BY al.created_at DESC;',
        'grants to authenticated: SELECT',
        'grants to service_role: SELECT'
      ]),

      ('audit.log_action', ARRAY[
        'kind: function',
        'arguments: p_entity_type character varying, p_entity_id uuid, p_action character varying, '
          || 'p_old_values jsonb DEFAULT NULL::jsonb, p_new_values jsonb DEFAULT NULL::jsonb, '
          || 'p_reason text DEFAULT NULL::text',
        'result: uuid',
        'attributes: plpgsql, volatile, security definer, search_path=pg_catalog, pg_temp',
        'md5 of the body: 00a624b729ad9785c2efd55245a717d5',
        'grants to authenticated: EXECUTE',
        'grants to service_role: EXECUTE'
      ]),

      ('storage.objects', ARRAY[
        'kind: table',
        'row level security: on',
        'policy "Authenticated users can view avatars": PERMISSIVE FOR SELECT TO authenticated '
          || 'USING ((bucket_id = ''avatars''::text) AND (( SELECT auth.uid() AS uid) IS NOT NULL))',
        'policy "Users can delete their own avatars": PERMISSIVE FOR DELETE TO authenticated '
          || 'USING ((bucket_id = ''avatars''::text) '
          || 'AND ((storage.foldername(name))[1] = (( SELECT auth.uid() AS uid))::text))',
        'policy "Users can update their own avatars": PERMISSIVE FOR UPDATE TO authenticated '
          || 'USING ((bucket_id = ''avatars''::text) '
          || 'AND ((storage.foldername(name))[1] = (( SELECT auth.uid() AS uid))::text)) '
          || 'WITH CHECK ((bucket_id = ''avatars''::text) '
          || 'AND ((storage.foldername(name))[1] = (( SELECT auth.uid() AS uid))::text))',
        'policy "Users can upload their own avatars": PERMISSIVE FOR INSERT TO authenticated '
          || 'WITH CHECK ((bucket_id = ''avatars''::text) '
          || 'AND ((storage.foldername(name))[1] = (( SELECT auth.uid() AS uid))::text))'
      ]),

      ('bucket avatars', ARRAY[
        'kind: bucket',
        'name: avatars',
        'public: false',
        'file_size_limit: 5242880'
      ])
    ),
    expected AS (
      SELECT object, split_part(fact, ': ', 1) AS property, substr(fact, strpos(fact, ': ') + 2) AS value
      FROM facts
      CROSS JOIN unnest(facts) AS fact
    ),
    -- Found by name: what is missing is a line in the report and not an error on the way to it.
    relation AS (
      SELECT c.*, c.oid::regclass::text AS name
      FROM pg_class AS c
      WHERE c.oid::regclass::text IN (SELECT object FROM expected)
    ),
    -- Without arguments, so that a second function of the name, which would make a call ambiguous, is found too.
    routine AS (
      SELECT p.*, l.lanname, n.nspname || '.' || p.proname AS name
      FROM pg_proc AS p
      JOIN pg_namespace AS n ON n.oid = p.pronamespace
      JOIN pg_language AS l ON l.oid = p.prolang
      WHERE n.nspname || '.' || p.proname IN (SELECT object FROM expected)
    ),
    grants AS (
      SELECT r.name, acl.grantee, acl.is_grantable, acl.privilege_type AS privilege
      FROM relation AS r
      CROSS JOIN aclexplode(COALESCE(r.relacl, acldefault('r', r.relowner))) AS acl

      UNION ALL
      SELECT r.name, acl.grantee, acl.is_grantable, format('%s (%s)', acl.privilege_type, a.attname)
      FROM relation AS r
      JOIN pg_attribute AS a ON a.attrelid = r.oid
      CROSS JOIN aclexplode(a.attacl) AS acl

      UNION ALL
      SELECT f.name, acl.grantee, acl.is_grantable, acl.privilege_type
      FROM routine AS f
      CROSS JOIN aclexplode(COALESCE(f.proacl, acldefault('f', f.proowner))) AS acl
    ),
    actual (object, property, value) AS (
      SELECT name, 'kind', CASE relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' ELSE 'neither table nor view' END
      FROM relation

      UNION ALL
      SELECT
        name, 'row level security',
        CASE WHEN relforcerowsecurity THEN 'forced' WHEN relrowsecurity THEN 'on' ELSE 'off' END
      FROM relation
      WHERE relkind = 'r'

      UNION ALL
      SELECT
        r.name,
        'column ' || to_char(row_number() OVER (PARTITION BY r.oid ORDER BY a.attnum), 'FM00'),
        concat_ws(
          ' ', a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
          'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)
        )
      FROM relation AS r
      JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE r.relkind = 'r'

      -- NOT NULL stands with the column; it is a constraint of its own from version 18 on.
      UNION ALL
      SELECT r.name, 'constraint ' || k.conname, pg_get_constraintdef(k.oid)
      FROM relation AS r
      JOIN pg_constraint AS k ON k.conrelid = r.oid AND k.contype IN ('p', 'u', 'x', 'c', 'f')

      UNION ALL
      SELECT
        r.name,
        CASE WHEN i.indisunique THEN 'unique index ' ELSE 'index ' END || c.relname,
        substring(pg_get_indexdef(c.oid) FROM ' USING (.*)')
          || CASE WHEN i.indisvalid THEN '' ELSE ', which is invalid' END
      FROM relation AS r
      JOIN pg_index AS i ON i.indrelid = r.oid AND NOT i.indisprimary
      JOIN pg_class AS c ON c.oid = i.indexrelid

      UNION ALL
      SELECT
        r.name,
        'policy ' || quote_ident(p.policyname),
        concat_ws(
          ' ', p.permissive, 'FOR', p.cmd, 'TO', array_to_string(p.roles, ', '),
          'USING ' || p.qual, 'WITH CHECK ' || p.with_check
        )
      FROM relation AS r
      JOIN pg_policies AS p ON p.schemaname || '.' || p.tablename = r.name

      UNION ALL
      SELECT
        r.name,
        'trigger ' || t.tgname,
        replace(pg_get_triggerdef(t.oid), format('CREATE TRIGGER %s ', t.tgname), '')
          || CASE t.tgenabled WHEN 'O' THEN '' ELSE ', which is not enabled as made' END
      FROM relation AS r
      JOIN pg_trigger AS t ON t.tgrelid = r.oid AND NOT t.tgisinternal

      -- The definition tells the columns too: their order, and where each has its type from.
      UNION ALL
      SELECT r.name, property.*
      FROM relation AS r
      CROSS JOIN LATERAL (VALUES
        ('definition', pg_get_viewdef(r.oid)),
        ('options', array_to_string(r.reloptions, ', '))
      ) AS property (name, value)
      WHERE r.relkind = 'v'

      -- The other view's comment is phase 3's.
      UNION ALL
      SELECT name, 'comment', obj_description(oid, 'pg_class')
      FROM relation
      WHERE name = 'engagement.customer_favorites_view'

      UNION ALL
      SELECT f.name, property.*
      FROM routine AS f
      CROSS JOIN LATERAL (VALUES
        ('kind', 'function'),
        ('arguments', pg_get_function_arguments(f.oid)),
        ('result', pg_get_function_result(f.oid)),
        ('attributes', concat_ws(
          ', ',
          f.lanname,
          CASE f.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
          CASE WHEN f.prosecdef THEN 'security definer' ELSE 'security invoker' END,
          CASE WHEN f.proisstrict THEN 'not called on NULL' END,
          array_to_string(f.proconfig, ', ')
        )),
        ('md5 of the body', md5(f.prosrc))
      ) AS property (name, value)

      UNION ALL
      SELECT
        g.name,
        'grants to ' || COALESCE(r.rolname, 'PUBLIC'),
        string_agg(
          g.privilege || CASE WHEN g.is_grantable THEN ' with grant option' ELSE '' END,
          ', ' ORDER BY g.privilege
        )
      FROM grants AS g
      LEFT JOIN pg_roles AS r ON r.oid = g.grantee
      WHERE g.grantee = 0 OR r.rolname IN ('anon', 'authenticated', 'service_role')
      GROUP BY g.name, r.rolname

      UNION ALL
      SELECT 'schema ' || n.nspname, property.*
      FROM pg_namespace AS n
      CROSS JOIN LATERAL (VALUES
        ('kind', 'schema'),
        ('usage', (
          SELECT string_agg(r.rolname, ', ' ORDER BY r.rolname)
          FROM pg_roles AS r
          WHERE r.rolname IN ('authenticated', 'service_role') AND has_schema_privilege(r.oid, n.oid, 'USAGE')
        ))
      ) AS property (name, value)
      WHERE 'schema ' || n.nspname IN (SELECT object FROM expected)

      UNION ALL
      SELECT 'bucket ' || b.id, property.*
      FROM storage.buckets AS b
      CROSS JOIN LATERAL (VALUES
        ('kind', 'bucket'),
        ('name', b.name),
        ('public', b.public::text),
        ('file_size_limit', b.file_size_limit::text)
      ) AS property (name, value)
      WHERE b.id = 'avatars'
    ),
    -- Deparsed texts are broken into lines, which here would hide the one that differs.
    compared AS (
      SELECT
        object,
        property,
        regexp_replace(btrim(e.value), '\s+', ' ', 'g') AS expected,
        regexp_replace(btrim(a.value), '\s+', ' ', 'g') AS actual
      FROM expected AS e
      FULL JOIN actual AS a USING (object, property)
      WHERE CASE
        -- Of a missing object nothing else is said.
        WHEN a.object IS NULL THEN property = 'kind' OR object IN (SELECT object FROM actual)
        -- A further index does no harm, and storage holds more than is ours.
        WHEN e.object IS NULL THEN property NOT LIKE 'index %' AND object <> 'storage.objects'
        ELSE true
      END
    )
  SELECT string_agg(
    format('- %s: %s: expected %s, found %s', object, property, COALESCE(expected, 'none'), COALESCE(actual, 'none')),
    E'\n' ORDER BY object, property
  )
  INTO problems
  FROM compared
  WHERE expected IS DISTINCT FROM actual;

  PERFORM set_config('search_path', path_before, true);

  IF problems IS NOT NULL THEN
    RAISE EXCEPTION E'phase 1 is not as it should be:\n%', problems;
  END IF;
END
$$;
