-- Checks that the objects of phase 1 are as its steps create them. It only reads. It is silent if they
-- are; otherwise an error names every difference. After a deliberate change, copy into the list what was found.

DO $$
DECLARE
  phase CONSTANT integer := 1;
  lines text;

  -- Each paragraph is an object: its name, then one property in each line. A line with a deeper indent continues the
  -- line above it. A property that the object does not have has no line.
  expected_list CONSTANT text := $list$
schema identity
  kind: schema
  usage: authenticated, service_role

schema organization
  kind: schema
  usage: authenticated, service_role

schema catalog
  kind: schema
  usage: authenticated, service_role

schema scheduling
  kind: schema
  usage: authenticated, service_role

schema communication
  kind: schema
  usage: authenticated, service_role

schema engagement
  kind: schema
  usage: authenticated, service_role

schema audit
  kind: schema
  usage: authenticated, service_role

scheduling.appointment_services
  kind: table
  column 01: id uuid NOT NULL DEFAULT gen_random_uuid()
  column 02: appointment_id uuid NOT NULL
  column 03: service_id uuid NOT NULL
  column 04: staff_id uuid
  column 05: service_name character varying(255)
  column 06: duration_minutes integer
  column 07: price_at_time numeric(10,2)
  column 08: created_at timestamp with time zone DEFAULT now()
  column 09: created_by_id uuid
  column 10: updated_at timestamp with time zone
  column 11: updated_by_id uuid
  constraint appointment_services_appointment_id_fkey: FOREIGN KEY (appointment_id)
    REFERENCES scheduling.appointments(id) ON DELETE CASCADE
  constraint appointment_services_created_by_id_fkey: FOREIGN KEY (created_by_id)
    REFERENCES identity.profiles(id) ON DELETE SET NULL
  constraint appointment_services_pkey: PRIMARY KEY (id)
  constraint appointment_services_service_id_fkey: FOREIGN KEY (service_id)
    REFERENCES catalog.services(id) ON DELETE CASCADE
  constraint appointment_services_staff_id_fkey: FOREIGN KEY (staff_id)
    REFERENCES organization.staff_profiles(id) ON DELETE SET NULL
  constraint appointment_services_updated_by_id_fkey: FOREIGN KEY (updated_by_id)
    REFERENCES identity.profiles(id) ON DELETE SET NULL
  constraint valid_appointment_service: CHECK (((appointment_id IS NOT NULL) AND (service_id IS NOT NULL)))
  constraint valid_duration: CHECK (((duration_minutes IS NULL) OR (duration_minutes > 0)))
  constraint valid_price: CHECK (((price_at_time IS NULL) OR (price_at_time >= (0)::numeric)))
  index idx_appointment_services_appointment_id: btree (appointment_id)
  index idx_appointment_services_created_at: btree (created_at DESC)
  index idx_appointment_services_service_id: btree (service_id)
  index idx_appointment_services_staff_id: btree (staff_id)
  row level security: on
  policy "Anon cannot access appointment services": RESTRICTIVE FOR ALL TO anon USING false WITH CHECK false
  policy "Staff can insert appointment services": PERMISSIVE FOR INSERT TO authenticated
    WITH CHECK (EXISTS ( SELECT FROM (scheduling.appointments a
    JOIN organization.staff_profiles sp ON ((sp.salon_id = a.salon_id)))
    WHERE ((a.id = appointment_services.appointment_id) AND (sp.user_id = ( SELECT auth.uid() AS uid)))))
  policy "Staff can update appointment services": PERMISSIVE FOR UPDATE TO authenticated
    USING (EXISTS ( SELECT FROM (scheduling.appointments a
    JOIN organization.staff_profiles sp ON ((sp.salon_id = a.salon_id)))
    WHERE ((a.id = appointment_services.appointment_id) AND (sp.user_id = ( SELECT auth.uid() AS uid)))))
    WITH CHECK (EXISTS ( SELECT FROM (scheduling.appointments a
    JOIN organization.staff_profiles sp ON ((sp.salon_id = a.salon_id)))
    WHERE ((a.id = appointment_services.appointment_id) AND (sp.user_id = ( SELECT auth.uid() AS uid)))))
  policy "Users view appointment services for their appointments": PERMISSIVE FOR SELECT TO authenticated
    USING (appointment_id = ANY (ARRAY( SELECT a.id FROM scheduling.appointments a
    WHERE ((a.customer_id = ( SELECT auth.uid() AS uid)) OR (a.salon_id = ANY (ARRAY( SELECT sp.salon_id
    FROM organization.staff_profiles sp WHERE (sp.user_id = ( SELECT auth.uid() AS uid)) UNION ALL SELECT s.id
    FROM organization.salons s WHERE (s.owner_id = ( SELECT auth.uid() AS uid)))))))))
  trigger keep_appointment_service_in_its_salon: BEFORE UPDATE ON scheduling.appointment_services FOR EACH ROW
    WHEN (((new.appointment_id IS DISTINCT FROM old.appointment_id)
    AND row_security_active('scheduling.appointment_services'::text)))
    EXECUTE FUNCTION scheduling.keep_appointment_service_in_its_salon()
  grants to authenticated: INSERT, SELECT, UPDATE
  grants to service_role: DELETE, INSERT, SELECT, UPDATE

scheduling.keep_appointment_service_in_its_salon
  kind: function
  result: trigger
  attributes: plpgsql, volatile, security definer, search_path=pg_catalog, pg_temp
  md5 of the body: 25c488f8a17c6b8cf6dda7f5e5b21c84

communication.message_threads
  kind: table
  column 01: id uuid NOT NULL DEFAULT gen_random_uuid()
  column 02: created_by_id uuid NOT NULL
  column 03: recipient_id uuid NOT NULL
  column 04: subject character varying(500)
  column 05: description text
  column 06: salon_id uuid
  column 07: appointment_id uuid
  column 08: is_archived boolean DEFAULT false
  column 09: is_deleted boolean DEFAULT false
  column 10: last_message_at timestamp with time zone
  column 11: unread_count integer DEFAULT 0
  column 12: created_at timestamp with time zone DEFAULT now()
  column 13: updated_at timestamp with time zone
  column 14: metadata jsonb DEFAULT '{}'::jsonb
  constraint message_threads_appointment_id_fkey: FOREIGN KEY (appointment_id)
    REFERENCES scheduling.appointments(id) ON DELETE SET NULL
  constraint message_threads_created_by_id_fkey: FOREIGN KEY (created_by_id)
    REFERENCES identity.profiles(id) ON DELETE CASCADE
  constraint message_threads_pkey: PRIMARY KEY (id)
  constraint message_threads_recipient_id_fkey: FOREIGN KEY (recipient_id)
    REFERENCES identity.profiles(id) ON DELETE CASCADE
  constraint message_threads_salon_id_fkey: FOREIGN KEY (salon_id) REFERENCES organization.salons(id) ON DELETE SET NULL
  constraint valid_dates: CHECK (((last_message_at IS NULL) OR (last_message_at >= created_at)))
  constraint valid_participants: CHECK ((created_by_id <> recipient_id))
  constraint valid_unread: CHECK ((unread_count >= 0))
  index idx_message_threads_appointment: btree (appointment_id)
  index idx_message_threads_created_at: btree (created_at DESC)
  index idx_message_threads_created_by: btree (created_by_id)
  index idx_message_threads_last_message_at: btree (last_message_at DESC NULLS LAST)
  index idx_message_threads_participants: btree (created_by_id, recipient_id)
  index idx_message_threads_recipient: btree (recipient_id)
  index idx_message_threads_salon: btree (salon_id)
  unique index idx_message_threads_unique_active: btree (LEAST(created_by_id, recipient_id), GREATEST(created_by_id,
    recipient_id)) WHERE (is_deleted = false)
  row level security: on
  policy "Anon cannot access threads": RESTRICTIVE FOR ALL TO anon USING false WITH CHECK false
  policy "Users can create threads": PERMISSIVE FOR INSERT TO authenticated
    WITH CHECK ((created_by_id = ( SELECT auth.uid() AS uid)) AND (created_by_id <> recipient_id))
  policy "Users can soft-delete their threads": PERMISSIVE FOR DELETE TO authenticated
    USING (((created_by_id = ( SELECT auth.uid() AS uid)) OR (recipient_id = ( SELECT auth.uid() AS uid)))
    AND (is_deleted = false))
  policy "Users can update their threads": PERMISSIVE FOR UPDATE TO authenticated
    USING (((created_by_id = ( SELECT auth.uid() AS uid)) OR (recipient_id = ( SELECT auth.uid() AS uid)))
    AND (is_deleted = false))
    WITH CHECK (((created_by_id = ( SELECT auth.uid() AS uid)) OR (recipient_id = ( SELECT auth.uid() AS uid)))
    AND (is_deleted = false))
  policy "Users can view their own threads": PERMISSIVE FOR SELECT TO authenticated
    USING (((created_by_id = ( SELECT auth.uid() AS uid)) OR (recipient_id = ( SELECT auth.uid() AS uid)))
    AND (is_deleted = false))
  trigger keep_thread_participants: BEFORE UPDATE ON communication.message_threads FOR EACH ROW
    WHEN ((((new.created_by_id IS DISTINCT FROM old.created_by_id) OR (new.recipient_id IS DISTINCT
    FROM old.recipient_id)) AND row_security_active('communication.message_threads'::text)))
    EXECUTE FUNCTION communication.keep_thread_participants()
  trigger soft_delete_thread: BEFORE DELETE ON communication.message_threads FOR EACH ROW
    WHEN (row_security_active('communication.message_threads'::text))
    EXECUTE FUNCTION communication.soft_delete_thread()
  grants to authenticated: DELETE, INSERT, SELECT, UPDATE
  grants to service_role: DELETE, INSERT, SELECT, UPDATE

communication.soft_delete_thread
  kind: function
  result: trigger
  attributes: plpgsql, volatile, security definer, search_path=pg_catalog, pg_temp
  md5 of the body: 5e7ba9b7ac812a77725180b597a354db

communication.keep_thread_participants
  kind: function
  result: trigger
  attributes: plpgsql, volatile, security invoker, search_path=pg_catalog, pg_temp
  md5 of the body: 3aa6a6cd54c6cd0481d1c1f0bfc333fa

engagement.customer_favorites
  kind: table
  column 01: id uuid NOT NULL DEFAULT gen_random_uuid()
  column 02: customer_id uuid NOT NULL
  column 03: salon_id uuid NOT NULL
  column 04: notes text
  column 05: rating integer
  column 06: is_favorite boolean DEFAULT true
  column 07: created_at timestamp with time zone DEFAULT now()
  column 08: created_by_id uuid
  column 09: updated_at timestamp with time zone
  column 10: updated_by_id uuid
  constraint customer_favorites_created_by_id_fkey: FOREIGN KEY (created_by_id)
    REFERENCES identity.profiles(id) ON DELETE SET NULL
  constraint customer_favorites_customer_id_fkey: FOREIGN KEY (customer_id)
    REFERENCES identity.profiles(id) ON DELETE CASCADE
  constraint customer_favorites_pkey: PRIMARY KEY (id)
  constraint customer_favorites_rating_check: CHECK (((rating IS NULL) OR ((rating >= 1) AND (rating <= 5))))
  constraint customer_favorites_salon_id_fkey: FOREIGN KEY (salon_id)
    REFERENCES organization.salons(id) ON DELETE CASCADE
  constraint customer_favorites_updated_by_id_fkey: FOREIGN KEY (updated_by_id)
    REFERENCES identity.profiles(id) ON DELETE SET NULL
  constraint valid_customer_salon: CHECK (((customer_id IS NOT NULL) AND (salon_id IS NOT NULL)))
  index idx_customer_favorites_created_at: btree (created_at DESC)
  index idx_customer_favorites_customer: btree (customer_id)
  index idx_customer_favorites_salon: btree (salon_id)
  unique index idx_customer_favorites_unique: btree (customer_id, salon_id) WHERE (is_favorite = true)
  row level security: on
  policy "Anon cannot access favorites": RESTRICTIVE FOR ALL TO anon USING false WITH CHECK false
  policy "Customers can add favorites": PERMISSIVE FOR INSERT TO authenticated
    WITH CHECK (customer_id = ( SELECT auth.uid() AS uid))
  policy "Customers can remove their own favorites": PERMISSIVE FOR DELETE TO authenticated
    USING (customer_id = ( SELECT auth.uid() AS uid))
  policy "Customers can update their own favorites": PERMISSIVE FOR UPDATE TO authenticated
    USING (customer_id = ( SELECT auth.uid() AS uid))
    WITH CHECK (customer_id = ( SELECT auth.uid() AS uid))
  policy "Customers can view their own favorites": PERMISSIVE FOR SELECT TO authenticated
    USING (customer_id = ( SELECT auth.uid() AS uid))
  grants to authenticated: DELETE, INSERT, SELECT, UPDATE
  grants to service_role: DELETE, INSERT, SELECT, UPDATE

engagement.customer_favorites_view
  kind: view
  columns: id, customer_id, salon_id, notes, rating, salon_name, salon_slug, description, image_url, created_at,
    updated_at
  options: security_invoker=true
  md5 of the definition: 8e4a490dadd84cdab96f3931f9a59a37
  grants to authenticated: SELECT
  grants to service_role: SELECT

audit.audit_logs
  kind: table
  column 01: id uuid NOT NULL DEFAULT gen_random_uuid()
  column 02: entity_type character varying(100) NOT NULL
  column 03: entity_id uuid
  column 04: action character varying(100) NOT NULL
  column 05: actor_id uuid
  column 06: created_at timestamp with time zone DEFAULT now()
  column 07: old_values jsonb
  column 08: new_values jsonb
  column 09: change_summary text
  column 10: reason text
  column 11: source_system character varying(100)
  column 12: ip_address inet
  column 13: user_agent text
  column 14: metadata jsonb DEFAULT '{}'::jsonb
  constraint audit_logs_actor_id_fkey: FOREIGN KEY (actor_id) REFERENCES identity.profiles(id) ON DELETE SET NULL
  constraint audit_logs_pkey: PRIMARY KEY (id)
  constraint valid_action: CHECK ((((entity_type)::text ~ '\S'::text) AND ((action)::text ~ '\S'::text)))
  index idx_audit_logs_action: btree (action)
  index idx_audit_logs_actor: btree (actor_id)
  index idx_audit_logs_created_at: btree (created_at DESC)
  index idx_audit_logs_entity: btree (entity_type, entity_id)
  index idx_audit_logs_recent: btree (entity_type, created_at DESC)
  row level security: on
  policy "Anon cannot access audit logs": RESTRICTIVE FOR ALL TO anon USING false WITH CHECK false
  policy "Authenticated users can view audit logs": PERMISSIVE FOR SELECT TO authenticated
    USING (( SELECT auth.uid() AS uid) IS NOT NULL)
  policy "System can insert audit logs": PERMISSIVE FOR INSERT TO authenticated
    WITH CHECK (actor_id = ( SELECT auth.uid() AS uid))
  grants to authenticated: INSERT, SELECT
  grants to service_role: INSERT, SELECT

audit.audit_logs_view
  kind: view
  columns: id, entity_type, entity_id, action, actor_id, created_at, old_values, new_values, reason, actor_username,
    actor_email
  options: security_invoker=true
  md5 of the definition: fbc0fdec622d92ed78adca1c36b3b3c9
  grants to authenticated: SELECT
  grants to service_role: SELECT

audit.log_action
  kind: function
  arguments: p_entity_type character varying, p_entity_id uuid, p_action character varying,
    p_old_values jsonb DEFAULT NULL::jsonb, p_new_values jsonb DEFAULT NULL::jsonb, p_reason text DEFAULT NULL::text
  result: uuid
  attributes: plpgsql, volatile, security definer, search_path=pg_catalog, pg_temp
  md5 of the body: 00a624b729ad9785c2efd55245a717d5
  grants to authenticated: EXECUTE
  grants to service_role: EXECUTE

storage.objects
  kind: table
  row level security: on
  policy "Authenticated users can view avatars": PERMISSIVE FOR SELECT TO authenticated
    USING ((bucket_id = 'avatars'::text) AND (( SELECT auth.uid() AS uid) IS NOT NULL))
  policy "Users can delete their own avatars": PERMISSIVE FOR DELETE TO authenticated
    USING ((bucket_id = 'avatars'::text) AND ((storage.foldername(name))[1] = (( SELECT auth.uid() AS uid))::text))
  policy "Users can update their own avatars": PERMISSIVE FOR UPDATE TO authenticated
    USING ((bucket_id = 'avatars'::text) AND ((storage.foldername(name))[1] = (( SELECT auth.uid() AS uid))::text))
    WITH CHECK ((bucket_id = 'avatars'::text) AND ((storage.foldername(name))[1] = (( SELECT auth.uid() AS uid))::text))
  policy "Users can upload their own avatars": PERMISSIVE FOR INSERT TO authenticated
    WITH CHECK ((bucket_id = 'avatars'::text) AND ((storage.foldername(name))[1] = (( SELECT auth.uid() AS uid))::text))

bucket avatars
  kind: bucket
  name: avatars
  public: false
  file_size_limit: 5242880
$list$;

  -- The engine: from here on the same text in every verify.sql.
  path_before CONSTANT text := current_setting('search_path');
  expected text[]; -- rows of object, property, value
  actual text[];
  objects text[];
  relations oid[];
  routines oid[];
  differences text[]; -- rows of object, property, what is expected, what is found
  found_objects text[];
BEGIN
  -- With an empty search path, PostgreSQL writes every name with its schema.
  PERFORM set_config('search_path', '', true);

  -- Read the list. An editor on Windows may have put carriage returns into it.
  expected := ARRAY(
    SELECT ARRAY[split_part(paragraph, E'\n', 1), split_part(line, ': ', 1), substr(line, strpos(line, ': ') + 2)]
    FROM regexp_replace(btrim(replace(expected_list, E'\r', ''), E'\n'), '\n {4}', ' ', 'g') AS list
    CROSS JOIN regexp_split_to_table(list, '\n+(?=\S)') AS paragraph
    CROSS JOIN unnest((string_to_array(paragraph, E'\n  '))[2:]) AS line
  );

  -- Find the objects by their names: a missing object is a difference, not an error of this script.
  -- Find functions without their arguments: a second function of the same name would make calls ambiguous.
  objects := expected[:][1:1]; -- the first element of each row
  relations := ARRAY(SELECT oid FROM pg_class WHERE oid::regclass::text = ANY (objects));
  routines := ARRAY(
    SELECT oid FROM pg_proc
    WHERE pronamespace <> 'pg_catalog'::regnamespace AND oid::regproc::text = ANY (objects)
  );

  -- Tables and views. Who reads a table by way of one that it inherits from has the policies of that one.
  actual := ARRAY(
    SELECT ARRAY[c.oid::regclass::text, property.name, property.value]
    FROM pg_class AS c
    CROSS JOIN LATERAL (VALUES
      ('kind', CASE c.relkind
        WHEN 'r' THEN CASE c.relpersistence WHEN 'p' THEN 'table' ELSE 'table that is not logged' END
        WHEN 'v' THEN 'view'
        ELSE 'neither table nor view'
      END),
      ('inherits from', (
        SELECT string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno) FROM pg_inherits WHERE inhrelid = c.oid
      )),
      ('inherited by', (
        SELECT string_agg(inhrelid::regclass::text, ', ' ORDER BY inhrelid::regclass::text)
        FROM pg_inherits WHERE inhparent = c.oid
      )),
      ('row level security', CASE WHEN c.relforcerowsecurity THEN 'forced' WHEN c.relrowsecurity THEN 'on' END),
      ('comment', obj_description(c.oid, 'pg_class'))
    ) AS property (name, value)
    WHERE c.oid = ANY (relations)
  );

  -- Columns of tables, by position: their order matters.
  actual := actual || ARRAY(
    SELECT ARRAY[
      c.oid::regclass::text,
      'column ' || to_char(row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum), 'FM00'),
      concat_ws(
        ' ', a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
        'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)
      )
    ]
    FROM pg_class AS c
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE c.oid = ANY (relations) AND c.relkind = 'r'
  );

  -- Constraints. NOT NULL belongs to its column here; since version 18 it is also a constraint.
  actual := actual || ARRAY(
    SELECT ARRAY[conrelid::regclass::text, 'constraint ' || conname, pg_get_constraintdef(oid)]
    FROM pg_constraint
    WHERE conrelid = ANY (relations) AND contype IN ('p', 'u', 'x', 'c', 'f')
  );

  -- Indexes. A primary key is compared as a constraint.
  actual := actual || ARRAY(
    SELECT ARRAY[
      i.indrelid::regclass::text,
      CASE WHEN i.indisunique THEN 'unique index ' ELSE 'index ' END || c.relname,
      substring(pg_get_indexdef(c.oid) FROM ' USING (.*)') || CASE WHEN i.indisvalid THEN '' ELSE ', invalid' END
    ]
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = ANY (relations) AND NOT i.indisprimary
  );

  -- Policies. PostgreSQL writes their conditions in several lines.
  actual := actual || ARRAY(
    SELECT ARRAY[
      format('%I.%I', schemaname, tablename),
      'policy ' || quote_ident(policyname),
      regexp_replace(
        concat_ws(
          ' ', permissive, 'FOR', cmd, 'TO', array_to_string(roles, ', '),
          'USING ' || qual, 'WITH CHECK ' || with_check
        ),
        '\s+', ' ', 'g'
      )
    ]
    FROM pg_policies
    WHERE format('%I.%I', schemaname, tablename) = ANY (objects)
  );

  -- Triggers.
  actual := actual || ARRAY(
    SELECT ARRAY[
      tgrelid::regclass::text,
      'trigger ' || tgname,
      replace(pg_get_triggerdef(oid), format('CREATE TRIGGER %I ', tgname), '')
        || CASE tgenabled WHEN 'O' THEN '' ELSE ', not enabled as usual' END
    ]
    FROM pg_trigger
    WHERE tgrelid = ANY (relations) AND NOT tgisinternal
  );

  -- Rules. A view is one too, and is compared below.
  actual := actual || ARRAY(
    SELECT ARRAY[ev_class::regclass::text, 'rule ' || rulename, pg_get_ruledef(oid)]
    FROM pg_rewrite
    WHERE ev_class = ANY (relations) AND rulename <> '_RETURN'
  );

  -- Views. The columns are part of the definition. They are compared by name too, because nobody can read an md5.
  -- The alias of the first table is removed: version 15 writes it in places where later versions do not.
  actual := actual || ARRAY(
    SELECT ARRAY[c.oid::regclass::text, property.name, property.value]
    FROM pg_class AS c
    CROSS JOIN pg_get_viewdef(c.oid) AS definition
    CROSS JOIN LATERAL (VALUES
      ('columns', (
        SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0
      )),
      ('options', (
        SELECT string_agg(option_name || '=' || CASE WHEN option_name ~ '^security_' THEN 'true' ELSE option_value END, ', ')
        FROM pg_options_to_table(c.reloptions)  -- on is true, and off is the default
        WHERE CASE WHEN option_name ~ '^security_' THEN option_value::boolean ELSE true END
      )),
      ('md5 of the definition', md5(regexp_replace(
        definition, format('\m%s\.', substring(definition FROM 'FROM \(*\S+ (\w+)')), '', 'g'
      )))
    ) AS property (name, value)
    WHERE c.oid = ANY (relations) AND c.relkind = 'v'
  );

  -- Functions.
  actual := actual || ARRAY(
    SELECT ARRAY[f.oid::regproc::text, property.name, property.value]
    FROM (
      SELECT *, count(*) OVER (PARTITION BY oid::regproc::text) AS namesakes FROM pg_proc WHERE oid = ANY (routines)
    ) AS f
    JOIN pg_language AS l ON l.oid = f.prolang
    CROSS JOIN LATERAL (VALUES
      ('kind', CASE f.namesakes WHEN 1 THEN 'function' ELSE format('%s functions of this name', f.namesakes) END),
      ('arguments', pg_get_function_arguments(f.oid)),
      ('result', pg_get_function_result(f.oid)),
      ('attributes', concat_ws(
        ', ',
        l.lanname,
        CASE f.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
        CASE WHEN f.prosecdef THEN 'security definer' ELSE 'security invoker' END,
        CASE WHEN f.proisstrict THEN 'not called on NULL' END,
        CASE WHEN f.proleakproof THEN 'leakproof' END,
        CASE f.proparallel WHEN 'r' THEN 'parallel restricted' WHEN 's' THEN 'parallel safe' END,
        array_to_string(f.proconfig, ', ')
      )),
      ('md5 of the body', md5(replace(f.prosrc, E'\r', ''))),
      ('comment', obj_description(f.oid, 'pg_proc'))
    ) AS property (name, value)
  );

  -- Grants to the roles of the API, also on single columns. Grants to other roles are not compared. PUBLIC may
  -- execute a function that has no list of grants.
  actual := actual || ARRAY(
    SELECT ARRAY[
      object,
      'grants to ' || COALESCE(r.rolname, 'PUBLIC'),
      string_agg(
        concat(g.privilege_type, ' (' || on_column || ')', CASE WHEN g.is_grantable THEN ' with grant option' END),
        ', ' ORDER BY g.privilege_type, on_column
      )
    ]
    FROM (
      SELECT oid::regclass::text, relacl, NULL FROM pg_class WHERE oid = ANY (relations)
      UNION ALL
      SELECT attrelid::regclass::text, attacl, attname FROM pg_attribute WHERE attrelid = ANY (relations)
      UNION ALL
      SELECT oid::regproc::text, COALESCE(proacl, acldefault('f', proowner)), NULL
      FROM pg_proc WHERE oid = ANY (routines)
    ) AS granted (object, acl, on_column)
    CROSS JOIN aclexplode(acl) AS g
    LEFT JOIN pg_roles AS r ON r.oid = g.grantee
    WHERE g.grantee = 0 OR r.rolname IN ('anon', 'authenticated', 'service_role')
    GROUP BY object, r.rolname
  );

  -- Comments of the parts of tables and views.
  actual := actual || ARRAY(
    SELECT ARRAY[relation::regclass::text, 'comment of ' || part.name, description]
    FROM (
      SELECT attrelid, 'column ' || attname, 'pg_class'::regclass::oid, attrelid, attnum FROM pg_attribute
      UNION ALL
      SELECT conrelid, 'constraint ' || conname, tableoid, oid, 0 FROM pg_constraint
      UNION ALL
      SELECT indrelid, 'index ' || relname, c.tableoid, c.oid, 0 FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid
      UNION ALL
      SELECT polrelid, 'policy ' || quote_ident(polname), tableoid, oid, 0 FROM pg_policy
      UNION ALL
      SELECT tgrelid, 'trigger ' || tgname, tableoid, oid, 0 FROM pg_trigger
    ) AS part (relation, name, class, oid, number)
    JOIN pg_description ON classoid = class AND objoid = part.oid AND objsubid = number
    WHERE relation = ANY (relations)
  );

  -- Owners. No policy applies to an owner. Any role may be one, but none that a request can become.
  actual := actual || ARRAY(
    SELECT ARRAY[object, 'owner among the roles of the API', owner::regrole::text]
    FROM (
      SELECT oid::regclass::text, relowner FROM pg_class WHERE oid = ANY (relations)
      UNION ALL
      SELECT oid::regproc::text, proowner FROM pg_proc WHERE oid = ANY (routines)
    ) AS owned (object, owner)
    WHERE EXISTS (
      SELECT FROM pg_roles
      WHERE rolname IN ('anon', 'authenticated', 'service_role', 'authenticator') AND pg_has_role(oid, owner, 'MEMBER')
    )
  );

  -- Schemas. Who may create in one can give a function of ours a second form, which calls then find.
  actual := actual || ARRAY(
    SELECT ARRAY['schema ' || n.nspname, property.name, property.value]
    FROM pg_namespace AS n
    CROSS JOIN LATERAL (VALUES
      ('kind', 'schema'),
      ('usage', (
        SELECT string_agg(r.rolname, ', ' ORDER BY r.rolname)
        FROM pg_roles AS r
        WHERE r.rolname IN ('authenticated', 'service_role') AND has_schema_privilege(r.oid, n.oid, 'USAGE')
      )),
      ('create', (
        SELECT string_agg(r.rolname, ', ' ORDER BY r.rolname)
        FROM pg_roles AS r
        WHERE r.rolname IN ('anon', 'authenticated') AND has_schema_privilege(r.oid, n.oid, 'CREATE')
      ))
    ) AS property (name, value)
    WHERE 'schema ' || n.nspname = ANY (objects)
  );

  -- The bucket. If none is expected, this script needs no right to read the table.
  IF 'bucket avatars' = ANY (objects) THEN
    actual := actual || ARRAY(
      SELECT ARRAY['bucket ' || b.id, property.name, property.value]
      FROM storage.buckets AS b
      CROSS JOIN LATERAL (VALUES
        ('kind', 'bucket'),
        ('name', b.name),
        ('public', b.public::text),
        ('file_size_limit', b.file_size_limit::text)
      ) AS property (name, value)
      WHERE 'bucket ' || b.id = ANY (objects)
    );
  END IF;

  -- Compare. A property that an object does not have has no row, or an empty value.
  differences := ARRAY(
    SELECT DISTINCT ARRAY[object, property, e.value, a.value]
    FROM unnest(expected[:][1:1], expected[:][2:2], expected[:][3:3]) AS e (object, property, value)
    FULL JOIN (
      SELECT object, property, NULLIF(value, '')
      FROM unnest(actual[:][1:1], actual[:][2:2], actual[:][3:3]) AS found (object, property, value)
    ) AS a (object, property, value) USING (object, property)
    WHERE e.value IS DISTINCT FROM a.value
    ORDER BY 1
  );
  found_objects := actual[:][1:1];
  -- The end of the engine.

  PERFORM set_config('search_path', path_before, true);

  SELECT string_agg(
    format('- %s: %s: expected %s, found %s', object, property, COALESCE(value, 'none'), COALESCE(found_value, 'none')),
    E'\n'
  )
  INTO lines
  FROM generate_subscripts(differences, 1) AS i
  CROSS JOIN LATERAL (
    SELECT differences[i][1], differences[i][2], differences[i][3], differences[i][4]
  ) AS d (object, property, value, found_value)
  WHERE CASE
    -- Only the kind of a missing object is reported.
    WHEN object <> ALL (found_objects) THEN property = 'kind'
    -- More indexes and comments are allowed. Most of storage.objects does not belong to these migrations.
    WHEN value IS NULL THEN property NOT LIKE 'index %' AND property NOT LIKE 'comment%' AND object <> 'storage.objects'
    ELSE true
  END;

  IF lines IS NOT NULL THEN
    RAISE EXCEPTION E'phase % differs from what its steps create:\n%', phase, lines;
  END IF;
END
$$;
