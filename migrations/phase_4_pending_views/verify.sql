-- Checks that the objects of phase 4 are as its steps create them. It only reads. It is silent if they
-- are; otherwise an error names every difference. After a deliberate change, copy into the list what was found.

DO $$
DECLARE
  phase CONSTANT integer := 4;
  lines text;

  -- Each paragraph is an object: its name, then one property in each line. A line with a deeper indent continues the
  -- line above it. A property that the object does not have has no line.
  expected_list CONSTANT text := $list$
scheduling.view_blocked_times_with_relations
  kind: view
  columns: id, staff_id, appointment_id, reason, blocked_from, blocked_until, is_deleted, created_at, updated_at,
    staff_user_id, staff_username, staff_email, appointment_salon_id, appointment_customer_id, appointment_date
  options: security_invoker=true
  md5 of the definition: 9075a8820189bc9d136cc9daea8bbd7d
  comment: Blocked times with related staff and appointment information.
  grants to authenticated: SELECT
  grants to service_role: SELECT

communication.view_notifications
  kind: view
  columns: id, recipient_id, message, notification_type, metadata, read_at, created_at, updated_at, recipient_username,
    recipient_email, recipient_avatar
  options: security_invoker=true
  md5 of the definition: a0139dbda2cfd495484e0765fc7b3980
  comment: User notifications with recipient profile information.
  grants to authenticated: SELECT
  grants to service_role: SELECT

identity.view_profile_metadata
  kind: view
  columns: id, username, email, full_name, avatar_url, created_at, updated_at, preferences, tags, interests,
    social_links, account_status
  options: security_invoker=true
  md5 of the definition: 2a6e844b5a9e5c920751dac95c5b4b72
  comment: User profiles with extracted and computed metadata fields.
  grants to authenticated: SELECT
  grants to service_role: SELECT

identity.view_user_preferences
  kind: view
  columns: user_id, username, email_notifications_enabled, push_notifications_enabled, sms_notifications_enabled,
    booking_auto_confirm, booking_reminder_minutes, marketing_newsletter_enabled, marketing_promotions_enabled,
    profile_public, show_reviews, preferences_updated_at
  options: security_invoker=true
  md5 of the definition: 23898c95bfb127a0b13378e808b0d467
  comment: User preferences extracted from profile metadata for easy querying.
  grants to authenticated: SELECT
  grants to service_role: SELECT
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
