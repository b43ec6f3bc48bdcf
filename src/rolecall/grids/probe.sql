-- The probe: many statements in one round trip, each as its own persona and each rolled back.
--
-- It is in pg_temp, so that nothing stays in the database. probe.py describes its arguments and results.
--
-- Checks with the same preparation form one part: the preparation runs once for all of them. In a part, the
-- inserts of one row form a block: the row is deleted once for all of them, since a copy would violate its own unique
-- indexes. Each check runs in a subtransaction, which an exception rolls back. The results of a check are in variables,
-- which keep their values.

-- Deallocate the prepared statements of the probe: those of one row, or all, also those that a cancelled call left.
-- It is no error if a statement under test has deallocated them before (DEALLOCATE ALL).
CREATE FUNCTION pg_temp.rolecall_deallocate(pattern text) RETURNS void
LANGUAGE plpgsql AS $function$
DECLARE
  statement text;
  target refcursor := 'rolecall_target';
BEGIN
  FOR statement IN SELECT s.name FROM pg_prepared_statements AS s WHERE s.name ~ pattern LOOP
    EXECUTE 'DEALLOCATE ' || statement;
  END LOOP;
  IF EXISTS (SELECT FROM pg_cursors AS c WHERE c.name = 'rolecall_target') THEN
    CLOSE target;
  END IF;
END
$function$;

-- Whether two personas of one role may share a plan. They may not if an IMMUTABLE function reads the session or a
-- table, runs a statement that is not in its text, or calls something that may do so: the plan keeps the result for
-- the first persona. Tables, functions and operators are found by their names: `part` is how a function names them.
-- Another IMMUTABLE function is looked at itself, and so are the checks of domains, to which it may cast. A cast has no
-- name, so one by a function that is not IMMUTABLE is enough. Aggregates always count as IMMUTABLE, whatever they call.
-- What is not SQL or PL/pgSQL cannot be looked at; functions of extensions are trusted.
CREATE FUNCTION pg_temp.rolecall_may_share_plans() RETURNS boolean
LANGUAGE sql AS $function$
  WITH immutable (oid, body, language) AS (
    SELECT f.oid, concat_ws(' ', coalesce(pg_get_function_sqlbody(f.oid), f.prosrc), pg_get_expr(f.proargdefaults, 0)),
      l.lanname
    FROM pg_proc AS f JOIN pg_language AS l ON l.oid = f.prolang
    WHERE f.provolatile = 'i' AND f.oid >= 16384 AND f.prokind = 'f'
  ), bodies (body) AS (
    SELECT lower(body) FROM immutable WHERE language NOT IN ('c', 'internal')
    UNION ALL SELECT lower(pg_get_constraintdef(c.oid)) FROM pg_constraint AS c WHERE c.contypid <> 0 AND c.oid >= 16384
  ), readers (name, part) AS (
    -- A call, also with a comment before the arguments, or as if the function were a column.
    SELECT lower(f.proname), call FROM pg_proc AS f,
      unnest(ARRAY['(\w+)"?\s*(?:(?:--[^\n]*\n|/\*[^*]*\*/)\s*)*\(', '\.\s*"?(\w+)']) AS call
    WHERE f.oid >= 16384 AND (f.provolatile <> 'i' OR f.prokind <> 'f')
    UNION SELECT lower(c.relname), '\w+' FROM pg_class AS c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
    UNION SELECT o.oprname, NULL FROM pg_operator AS o JOIN pg_proc AS f ON f.oid = o.oprcode
    WHERE o.oid >= 16384 AND f.provolatile <> 'i'
  ), parts (name, part) AS (
    SELECT (regexp_matches(body, part, 'g'))[1], part FROM bodies, (SELECT DISTINCT part FROM readers) AS kinds  -- none for NULL
    WHERE part <> '\w+' OR body ~ '\m(from|join|table|into|update)\M'
  )
  SELECT NOT EXISTS (
      SELECT FROM bodies
      WHERE body ~ '\m(execute|current_setting|set_config|(current_|session_)?user|current_role|getpgusername)\M'
        OR body ~ '\m(has_\w+_privilege|pg_has_role|row_security_active|pg_show_all_settings|ts_stat|ts_rewrite)\M'
        OR body ~ '\m\w+_to_xml\w*\M|\mu&"'
    )
    AND NOT EXISTS (SELECT FROM readers JOIN parts USING (name, part))
    AND NOT EXISTS (SELECT FROM readers JOIN bodies ON name ~ '\W' AND strpos(body, name) > 0)
    AND NOT EXISTS (
      SELECT FROM immutable AS f
      WHERE f.language NOT IN ('sql', 'plpgsql') AND NOT EXISTS (
        SELECT FROM pg_depend AS d WHERE (d.classid, d.objid, d.deptype) = ('pg_proc'::regclass, f.oid, 'e'))
        -- PostgreSQL's own function under another name.
        AND NOT (f.language = 'internal' AND EXISTS (
          SELECT FROM pg_proc AS b WHERE b.oid < 16384 AND b.provolatile = 'i' AND b.prosrc = f.body))
    )
    AND NOT EXISTS (
      SELECT FROM pg_cast AS c JOIN pg_proc AS f ON f.oid = c.castfunc WHERE c.oid >= 16384 AND f.provolatile <> 'i'
    )
$function$;

-- The state of what rolecall_may_share_plans looks at, which takes ten times as long: the versions of all functions,
-- operators, casts and checks of domains, and the names of tables. rolecall's own functions are left out: some are
-- created after the first call.
CREATE FUNCTION pg_temp.rolecall_version_of_functions() RETURNS text
LANGUAGE plpgsql AS $function$
BEGIN
  RETURN (
    SELECT sum(hashtextextended(concat_ws(' ', f.oid, f.xmin, f.ctid), 0)) FROM pg_proc AS f
    WHERE f.oid >= 16384 AND NOT (f.pronamespace = pg_my_temp_schema() AND f.proname ~ '^(rolecall|persona)_')
  ) || ' ' || (
    SELECT sum(hashtextextended(c.relname, 0)) FROM pg_class AS c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  ) || ' ' || (
    SELECT coalesce(sum(hashtextextended(concat_ws(' ', o.oid, o.xmin, o.ctid), 0)), 0) FROM pg_operator AS o
    WHERE o.oid >= 16384
  ) || ' ' || (
    SELECT coalesce(sum(hashtextextended(concat_ws(' ', c.oid, c.xmin, c.ctid), 0)), 0) FROM pg_cast AS c
    WHERE c.oid >= 16384
  ) || ' ' || (
    SELECT coalesce(sum(hashtextextended(concat_ws(' ', c.oid, c.xmin, c.ctid), 0)), 0) FROM pg_constraint AS c
    WHERE c.oid >= 16384 AND c.contypid <> 0
  );
END
$function$;

-- Store the present answer of rolecall_may_share_plans as the body of a function, which a rollback takes back too.
-- Its result is NULL for another state.
DO $do$
BEGIN
  EXECUTE format(
    'CREATE FUNCTION pg_temp.rolecall_known_to_share_plans(version text) RETURNS boolean LANGUAGE sql AS %L',
    format('SELECT CASE version WHEN %L THEN %L::boolean END',
           pg_temp.rolecall_version_of_functions(), pg_temp.rolecall_may_share_plans()));
END
$do$;

-- Whether a row can only be deleted with triggers and rules switched off: they could keep the row, and a foreign key
-- could refuse.
CREATE FUNCTION pg_temp.rolecall_must_bypass_triggers(relation regclass) RETURNS boolean
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $function$
BEGIN
  RETURN (
    SELECT has_parameter_privilege('session_replication_role', 'SET') AND c.relkind IN ('r', 'p')
      AND (c.relkind = 'p' OR c.relhassubclass
           OR EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = c.oid AND t.tgtype & 8 = 8)
           OR EXISTS (SELECT FROM pg_rewrite AS r WHERE r.ev_class = c.oid AND r.ev_type = '4'))
    FROM pg_class AS c WHERE c.oid = relation
  );
END
$function$;

-- Look at a row: how often it is there, and its state. The place of a row shows whether it was written. The rows of a
-- view have no place: their text is compared. The query stays prepared, and the cursor on the row before is closed. That
-- neither exists is noticed by the error: to ask the views of the catalog takes ten times as long.
CREATE FUNCTION pg_temp.rolecall_look_at(target text, condition text, plain boolean, OUT hits bigint, OUT state text)
LANGUAGE plpgsql AS $function$
DECLARE
  before refcursor := 'rolecall_target';
BEGIN
  BEGIN
    DEALLOCATE rolecall_look;
  EXCEPTION WHEN invalid_sql_statement_name THEN
  END;
  BEGIN
    CLOSE before;
  EXCEPTION WHEN invalid_cursor_name THEN
  END;
  EXECUTE format(
    'PREPARE rolecall_look AS SELECT count(*), min(found.state) FROM (SELECT %s AS state FROM %s AS rolecall_row WHERE %s) AS found',
    CASE WHEN plain THEN 'tableoid || '' '' || ctid::text' ELSE 'md5(rolecall_row::text)' END, target, condition);
  EXECUTE 'EXECUTE rolecall_look' INTO hits, state;
END
$function$;

-- These settings with their present values. The rows of a view may depend on them, so the superuser looks with the same
-- values before a statement and after it.
CREATE FUNCTION pg_temp.rolecall_present(settings text[]) RETURNS text[]
LANGUAGE plpgsql AS $function$
BEGIN
  FOR number IN 1..cardinality(settings) / 2 LOOP
    settings[number][2] := current_setting(settings[number][1], true);
  END LOOP;
  RETURN settings;
END
$function$;

-- Aim the cursor at a row: WHERE CURRENT OF reaches exactly this row and reads no column, so that the SELECT policy cannot
-- hide it. All partitions must be in the plan, also those in which the condition cannot find the row.
CREATE FUNCTION pg_temp.rolecall_aim_at(target text, condition text) RETURNS void
LANGUAGE plpgsql SET enable_partition_pruning = off SET constraint_exclusion = off AS $function$
DECLARE
  the_row refcursor := 'rolecall_target';
  place record;
BEGIN
  OPEN the_row FOR EXECUTE format('SELECT FROM %s WHERE %s FOR UPDATE', target, condition);
  FETCH the_row INTO place;
END
$function$;

-- Delete a row, and return the number of deleted rows. PostgreSQL discards all plans when triggers are switched off and on.
CREATE FUNCTION pg_temp.rolecall_delete(target text, condition text, bypass boolean, OUT hits bigint)
LANGUAGE plpgsql AS $function$
DECLARE
  done text;
BEGIN
  IF bypass THEN
    done := set_config('session_replication_role', 'replica', true);
  END IF;
  BEGIN
    EXECUTE format('DELETE FROM %s WHERE %s', target, condition);
    GET DIAGNOSTICS hits = ROW_COUNT;
  EXCEPTION WHEN object_not_in_prerequisite_state THEN
    IF (SELECT relkind NOT IN ('r', 'p') FROM pg_class WHERE oid = target::regclass) THEN
      RAISE;
    END IF;
    -- The table is published without an identity of its rows: nobody can delete from it.
    EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', target);
    EXECUTE format('DELETE FROM %s WHERE %s', target, condition);
    GET DIAGNOSTICS hits = ROW_COUNT;
  END;
  IF bypass THEN
    done := set_config('session_replication_role', 'origin', true);
  END IF;
END
$function$;

-- Delete a row that is inserted again, and return whether it is away. Of a view that nobody can write to, it stays.
CREATE FUNCTION pg_temp.rolecall_make_room(target text, condition text, bypass boolean) RETURNS boolean
LANGUAGE plpgsql AS $function$
BEGIN
  PERFORM pg_temp.rolecall_delete(target, condition, bypass);
  RETURN true;
EXCEPTION WHEN object_not_in_prerequisite_state THEN
  RETURN false;
END
$function$;

-- The condition that an inserted row is the wanted one, if a persona could not write all of its columns. Of those that it
-- left out, times, numbers of sequences and random keys cannot be the wanted ones.
CREATE FUNCTION pg_temp.rolecall_is_wanted(target text, written text[], new_values jsonb) RETURNS text
LANGUAGE sql AS $function$
  SELECT coalesce(
    string_agg(format('%I::text IS NOT DISTINCT FROM (%s)::%s::text', a.attname, new_values ->> a.attname,
                      format_type(a.atttypid, a.atttypmod)), ' AND '),
    'true')
  FROM pg_attribute AS a
  JOIN pg_type AS t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef AS d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
  WHERE a.attrelid = target::regclass AND new_values ? a.attname AND quote_ident(a.attname) <> ALL (written)
    AND t.typcategory <> 'D' AND coalesce(pg_get_expr(d.adbin, d.adrelid), '') !~ 'nextval|random|uuid'
$function$;

-- What a persona may do with the columns that are granted one by one, if the whole table is refused: read the row,
-- write its present values to it, or insert a row with them. `new_values` are the literals of that row by column.
-- `names` is NULL if no column is granted by itself.
CREATE FUNCTION pg_temp.rolecall_try_columns(
  target text, condition text, method text, new_values jsonb, settings text[], bypass boolean,
  OUT names text[], OUT hits bigint
)
LANGUAGE plpgsql AS $function$
DECLARE
  acting_role text := settings[1][2];
  privilege text := CASE method WHEN 'GET' THEN 'SELECT' WHEN 'POST' THEN 'INSERT' ELSE 'UPDATE' END;
  setting text[];
  done text;
  list text;
  one text;
  statement text;
  visible bigint[] := '{}';
  tries text[];
  wanted text;
  present text[];
  hits_before bigint;
  finished boolean;
BEGIN
  -- A condition without a query takes much less time, and mostly it decides.
  IF has_table_privilege(acting_role, target::regclass, privilege)
     OR NOT has_any_column_privilege(acting_role, target::regclass, privilege) THEN
    RETURN;
  END IF;
  IF NOT (SELECT has_schema_privilege(acting_role, c.relnamespace, 'USAGE')
          FROM pg_class AS c WHERE c.oid = target::regclass) THEN
    RETURN;
  END IF;
  names := ARRAY(
    SELECT quote_ident(a.attname) FROM pg_attribute AS a
    WHERE a.attrelid = target::regclass AND a.attnum > 0 AND NOT a.attisdropped
      AND has_column_privilege(acting_role, a.attrelid, a.attnum, privilege)
      AND (method = 'GET' OR a.attgenerated = '' AND a.attidentity <> 'a')
      AND (method <> 'POST' OR new_values ? a.attname)
    ORDER BY a.attnum
  );
  list := array_to_string(names, ', ');
  IF list = '' THEN  -- the granted columns are not those of the new row
    names := NULL;
    RETURN;
  END IF;
  IF method = 'GET' THEN
    -- With the key, if it may be read. Otherwise the row counts if the table shows fewer rows without it.
    tries := ARRAY[
      format('SELECT count(*) FROM (SELECT %s FROM %s WHERE %s) AS readable', list, target, condition),
      format('SELECT count(*) FROM (SELECT %s FROM %s) AS readable', list, target),
      format('SELECT count(*) FROM (SELECT %s FROM %s) AS readable', list, target)
    ];
  ELSIF method = 'POST' THEN
    SELECT format('INSERT INTO %s (%s) VALUES (%s)', target, list,
                  string_agg(new_values ->> a.attname, ', ' ORDER BY a.attnum))
    INTO statement FROM pg_attribute AS a
    WHERE a.attrelid = target::regclass AND a.attnum > 0 AND quote_ident(a.attname) = ANY (names);
    tries := ARRAY[statement];
    wanted := format('SELECT count(*) FROM %s WHERE %s', target, pg_temp.rolecall_is_wanted(target, names, new_values));
    EXECUTE wanted INTO hits_before;
    present := pg_temp.rolecall_present(settings);
  ELSE
    list := '';
    FOREACH one IN ARRAY names LOOP
      EXECUTE format('SELECT quote_nullable(%s::text) FROM %s WHERE %s', one, target, condition) INTO statement;
      list := list || CASE list WHEN '' THEN '' ELSE ', ' END || one || ' = ' || statement;
    END LOOP;
    tries := ARRAY[format('UPDATE %s SET %s WHERE CURRENT OF rolecall_target', target, list)];
  END IF;
  FOR number IN 1..cardinality(tries) LOOP
    finished := false;
    BEGIN
      IF number = 3 THEN
        hits := pg_temp.rolecall_delete(target, condition, bypass);
      END IF;
      FOREACH setting SLICE 1 IN ARRAY settings LOOP
        done := set_config(setting[1], setting[2], true);
      END LOOP;
      IF method = 'GET' THEN
        EXECUTE tries[number] INTO hits;
      ELSE
        EXECUTE tries[number];
        GET DIAGNOSTICS hits = ROW_COUNT;
        SET CONSTRAINTS ALL IMMEDIATE;
      END IF;
      IF method = 'POST' THEN
        FOREACH setting SLICE 1 IN ARRAY present LOOP
          done := set_config(setting[1], setting[2], true);
        END LOOP;
        EXECUTE wanted INTO hits;
        hits := hits - hits_before;
      END IF;
      finished := true;
      RAISE EXCEPTION USING ERRCODE = 'RC000';
    EXCEPTION WHEN OTHERS OR ASSERT_FAILURE OR QUERY_CANCELED THEN
      IF NOT finished THEN
        hits := NULL;
      END IF;
    END;
    EXIT WHEN number = 1 AND hits IS NOT NULL OR number = 2 AND hits IS NULL;
    visible := visible || hits;
  END LOOP;
  IF cardinality(visible) = 3 THEN
    hits := visible[2] - visible[3];
  END IF;
END
$function$;

-- The role that PostgREST logs in as, if it is a member of the persona's role; NULL otherwise.
CREATE FUNCTION pg_temp.persona_login(acting_role text) RETURNS text
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $function$
BEGIN
  RETURN (
    SELECT l.rolname::text
    FROM pg_roles AS l, pg_roles AS r, pg_roles AS s
    WHERE l.rolname = 'authenticator' AND r.rolname = acting_role AND s.rolname = session_user AND s.rolsuper
      AND pg_has_role(l.oid, r.oid, 'MEMBER')
  );
END
$function$;

-- Whether the row-level security of the statement itself refused it: its error has no other context than the EXECUTE
-- here, where no other code can have raised it. The texts are those of lc_messages C, which rolecall sets.
CREATE FUNCTION pg_temp.rolecall_is_by_row_security(message text, context text, statement text) RETURNS boolean
LANGUAGE sql AS $function$
  SELECT message LIKE '%row violates row-level security policy%'
    AND starts_with(context, format(E'SQL statement "%s"\nPL/pgSQL function %I.rolecall_probe(jsonb) ',
                                    statement, pg_my_temp_schema()::regnamespace))
$function$;

CREATE FUNCTION pg_temp.rolecall_probe(tries jsonb)
RETURNS TABLE (
  affected bigint, touched boolean, refusal text, message text, broken text, skipped boolean, columns text[],
  column_rows bigint, late boolean, by_row_security boolean
)
LANGUAGE plpgsql AS $function$
DECLARE
  part record;
  block record;
  item record;
  command text;
  executed text;  -- the statement that EXECUTE gets: the command, or the name of its plan
  context text;
  -- The settings of each request, as texts: an array of arrays has no place for lists of several lengths.
  requests text[] := ARRAY(
    SELECT request.settings::text FROM jsonb_to_recordset(tries -> 'requests') AS request (settings text[])
  );
  request int;  -- the current one
  settings text[];
  present text[];  -- the settings of the superuser
  setting text[];
  done text;
  failed text;
  acting boolean;
  finished boolean;
  stop boolean := false;
  looked_at text;  -- the current row: table and condition
  aimed boolean;  -- whether the cursor is on it
  look record;
  tried record;
  looked_into text;  -- the current table, of which no check of a part changes what follows
  plain boolean;  -- whether it is a table, whose rows have a physical place
  bypass boolean;
  rows_before bigint;
  rows_left bigint;  -- after room was made for an insert
  rows_after bigint;
  state_before text;
  state_after text;
  planned boolean[];
  logins jsonb := '{}';
  login text;
  superuser text := session_user;
  began timestamptz := clock_timestamp();
  lock_limit interval := nullif(current_setting('lock_timeout'), '0')::interval;
  statement_limit interval := nullif(current_setting('statement_timeout'), '0')::interval;
  share boolean := coalesce(
    pg_temp.rolecall_known_to_share_plans(pg_temp.rolecall_version_of_functions()), pg_temp.rolecall_may_share_plans());
  defers boolean;  -- whether a commit could check anything that no statement has checked
  -- If the test itself holds advisory locks, all of them stay: those of a check cannot be told apart.
  unlock boolean := NOT EXISTS (SELECT FROM pg_locks AS l WHERE l.locktype = 'advisory' AND l.pid = pg_backend_pid());
BEGIN
  PERFORM pg_temp.rolecall_deallocate('^rolecall_');
  FOR part IN SELECT * FROM jsonb_to_recordset(tries -> 'parts') AS (before text[], blocks jsonb) LOOP
    finished := false;
    looked_into := NULL;
    BEGIN
      failed := NULL;
      BEGIN
        IF cardinality(part.before) > 0 THEN
          FOREACH command IN ARRAY part.before LOOP
            EXECUTE command;
          END LOOP;
          -- Check the constraints of the preparation now. Then defer again those that are INITIALLY DEFERRED.
          SET CONSTRAINTS ALL IMMEDIATE;
          SELECT string_agg(format('%I.%I', n.nspname, c.conname), ', ') INTO command
          FROM pg_constraint AS c JOIN pg_namespace AS n ON n.oid = c.connamespace WHERE c.condeferred;
          IF command IS NOT NULL THEN
            EXECUTE format('SET CONSTRAINTS %s DEFERRED', command);
          END IF;
        END IF;
      EXCEPTION WHEN OTHERS OR ASSERT_FAILURE OR QUERY_CANCELED THEN
        failed := SQLSTATE || ' ' || SQLERRM;
      END;
      defers := EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgdeferrable);
      FOR block IN SELECT * FROM jsonb_to_recordset(part.blocks) AS (makes_room boolean, checks jsonb) LOOP
        BEGIN
          looked_at := NULL;
          aimed := false;
          FOR item IN
            SELECT * FROM jsonb_to_recordset(block.checks) AS (
              request int, method text, statement text, target text, condition text, blind boolean,
              representation boolean, upsert boolean, columns boolean, new_values jsonb, plan int, expected text
            )
          LOOP
            affected := 0; touched := false; refusal := NULL; message := NULL; broken := failed; skipped := false;
            columns := NULL; column_rows := NULL; by_row_security := false;
            acting := false; finished := false;
            IF looked_at <> item.target || ' ' || item.condition THEN
              looked_at := NULL;
              aimed := false;
            END IF;
            IF broken IS NULL AND looked_at IS NULL THEN
              BEGIN
                IF looked_into IS DISTINCT FROM item.target THEN
                  SELECT c.relkind IN ('r', 'p'), pg_temp.rolecall_must_bypass_triggers(c.oid) INTO STRICT plain, bypass
                  FROM pg_class AS c WHERE c.oid = item.target::regclass;
                  looked_into := item.target;
                END IF;
                look := pg_temp.rolecall_look_at(item.target, item.condition, plain);
                rows_before := look.hits;
                state_before := look.state;
                rows_left := 0;
                IF block.makes_room AND rows_before = 1 THEN
                  IF NOT pg_temp.rolecall_make_room(item.target, item.condition, bypass) THEN
                    rows_left := 1;
                  END IF;
                  EXECUTE 'EXECUTE rolecall_look' INTO rows_after, state_after;
                  IF rows_after > rows_left THEN
                    RAISE EXCEPTION 'the row cannot be deleted, to be inserted again: % %', item.target, item.condition;
                  END IF;
                END IF;
                looked_at := item.target || ' ' || item.condition;
              EXCEPTION WHEN OTHERS OR ASSERT_FAILURE OR QUERY_CANCELED THEN
                broken := SQLSTATE || ' ' || SQLERRM;
              END;
            END IF;
            IF broken IS NULL AND rows_before <> 1 THEN
              broken := CASE rows_before WHEN 0 THEN 'no row of ' ELSE rows_before || ' rows of ' END
                || item.target || CASE rows_before WHEN 0 THEN ' has ' ELSE ' have ' END || item.condition;
            END IF;
            skipped := item.blind AND NOT plain AND broken IS NULL;
            IF item.request IS DISTINCT FROM request THEN
              request := item.request;
              settings := requests[request];
              IF NOT logins ? settings[1][2] THEN
                logins := logins || jsonb_build_object(settings[1][2], pg_temp.persona_login(settings[1][2]));
              END IF;
              login := logins ->> settings[1][2];
            END IF;
            IF item.blind AND plain AND NOT aimed AND broken IS NULL THEN
              -- The superuser opens the cursor. It stays on the row for all of its checks.
              BEGIN
                PERFORM pg_temp.rolecall_aim_at(item.target, item.condition);
                aimed := true;
              EXCEPTION WHEN OTHERS OR ASSERT_FAILURE OR QUERY_CANCELED THEN
                broken := SQLSTATE || ' ' || SQLERRM;
              END;
            END IF;
            BEGIN
              IF skipped OR broken IS NOT NULL THEN
                finished := true;
                RAISE EXCEPTION USING ERRCODE = 'RC000';
              END IF;
              IF item.method = 'GET' THEN
                done := set_config('transaction_read_only', 'on', true);
              ELSIF NOT plain THEN
                present := pg_temp.rolecall_present(settings[2:]);
              END IF;
              IF login IS NOT NULL THEN
                done := set_config('session_authorization', login, true);
              END IF;
              -- The login role may use other schemas than the persona's role, so its search_path is another one, and an
              -- expression that is evaluated as both would be planned anew each time.
              done := set_config('role', settings[1][2], true);
              FOREACH setting SLICE 1 IN ARRAY settings[2:] LOOP
                done := set_config(setting[1], setting[2], true);
              END LOOP;
              acting := true;
              command := item.statement || CASE WHEN item.blind THEN ' WHERE CURRENT OF rolecall_target' ELSE '' END;
              IF share AND item.plan IS NOT NULL AND planned[item.plan] IS NULL THEN
                BEGIN
                  -- PL/pgSQL counts only the rows that an EXECUTE returns. RETURNING true reads no column.
                  EXECUTE 'PREPARE rolecall_' || item.plan || ' AS ' || command
                    || CASE WHEN item.method = 'GET' OR item.representation THEN '' ELSE ' RETURNING true' END;
                  planned[item.plan] := true;
                EXCEPTION WHEN OTHERS OR ASSERT_FAILURE OR QUERY_CANCELED THEN
                  planned[item.plan] := false;  -- it runs without a plan, and its own error is reported
                END;
              END IF;
              executed := CASE WHEN share AND planned[item.plan] THEN 'EXECUTE rolecall_' || item.plan ELSE command END;
              BEGIN
                EXECUTE executed;
                GET DIAGNOSTICS affected = ROW_COUNT;
              EXCEPTION WHEN invalid_sql_statement_name THEN
                -- An earlier check has deallocated the prepared statements, or this is an error of the statement.
                share := false;
                EXECUTE command;
                GET DIAGNOSTICS affected = ROW_COUNT;
              END;
              IF defers AND item.method <> 'GET' THEN
                SET CONSTRAINTS ALL IMMEDIATE;  -- a commit would check them, but nothing is committed here
              END IF;
              acting := false;
              IF affected = 0 AND item.method <> 'GET' THEN
                IF login IS NOT NULL THEN
                  done := set_config('session_authorization', superuser, true);
                END IF;
                done := set_config('role', 'none', true);
                IF NOT plain THEN
                  FOREACH setting SLICE 1 IN ARRAY present LOOP
                    done := set_config(setting[1], setting[2], true);
                  END LOOP;
                END IF;
                IF block.makes_room THEN
                  EXECUTE format('SELECT count(*) FROM %s WHERE %s', item.target, item.condition) INTO rows_after;
                  touched := rows_after > rows_left;
                ELSE
                  BEGIN
                    EXECUTE 'EXECUTE rolecall_look' INTO rows_after, state_after;
                  EXCEPTION WHEN invalid_sql_statement_name THEN  -- the check has deallocated it
                    look := pg_temp.rolecall_look_at(item.target, item.condition, plain);
                    rows_after := look.hits;
                    state_after := look.state;
                    aimed := false;  -- that closes the cursor
                  END;
                  touched := (rows_after, state_after) IS DISTINCT FROM (rows_before, state_before);
                END IF;
              END IF;
              finished := true;
              RAISE EXCEPTION USING ERRCODE = 'RC000';
            EXCEPTION WHEN OTHERS OR ASSERT_FAILURE OR QUERY_CANCELED THEN
              IF finished THEN
                NULL;
              ELSIF acting THEN
                affected := 0; refusal := SQLSTATE; message := SQLERRM;
                IF refusal = '42501' THEN
                  GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
                  by_row_security := pg_temp.rolecall_is_by_row_security(message, context, executed);
                END IF;
                -- No unique index on the columns of ON CONFLICT, or one that is checked later, or a rule: it allows no
                -- ON CONFLICT, and a rule of updates or deletes no RETURNING. That a rule allows no RETURNING in an
                -- INSERT stays an error: PostgREST sends it always.
                IF refusal IN ('42P10', '55000') AND item.upsert
                  OR refusal = '0A000' AND (item.upsert OR item.representation AND item.method <> 'POST') THEN
                  skipped := true; refusal := NULL; message := NULL;
                END IF;
              ELSE
                affected := 0; broken := SQLSTATE || ' ' || SQLERRM;
                IF NOT block.makes_room THEN  -- there the row is away
                  looked_at := NULL; aimed := false;
                END IF;
              END IF;
            END;
            IF refusal = '42501' AND item.columns THEN
              tried := pg_temp.rolecall_try_columns(
                item.target, item.condition, item.method, item.new_values, settings, bypass
              );
              columns := tried.names;
              column_rows := tried.hits;
            END IF;
            IF unlock THEN
              done := CASE WHEN pg_advisory_unlock_all() IS NULL THEN '' END;  -- faster than PERFORM
            END IF;
            IF NOT share THEN
              DISCARD PLANS;
            END IF;
            -- A timeout is an error like others, which a handler here, or one of the SQL under test, may have caught.
            -- So the time decides: no outcome after a timeout counts, and the checks end, because the next could wait
            -- as long.
            late := coalesce(clock_timestamp() - began >= lock_limit, false)
              OR coalesce(clock_timestamp() - statement_timestamp() >= statement_limit, false);
            began := clock_timestamp();
            RETURN NEXT;
            stop := late OR NOT skipped AND coalesce(item.expected <> CASE
              WHEN broken IS NOT NULL THEN 'error'
              WHEN refusal IS NULL THEN CASE WHEN affected > 0 OR touched THEN 'yes' ELSE '-' END
              WHEN refusal = '42501' THEN '!' || CASE WHEN column_rows > 0 THEN '/yes' WHEN column_rows = 0 THEN '/-' ELSE '' END
              ELSE 'error'
            END, false);
            EXIT WHEN stop;
          END LOOP;
          finished := true;
          RAISE EXCEPTION USING ERRCODE = 'RC000';
        EXCEPTION WHEN SQLSTATE 'RC000' THEN
          IF NOT finished THEN
            RAISE;
          END IF;
        END;
        EXIT WHEN stop;
      END LOOP;
      finished := true;
      RAISE EXCEPTION USING ERRCODE = 'RC000';
    EXCEPTION WHEN SQLSTATE 'RC000' THEN
      IF NOT finished THEN
        RAISE;
      END IF;
    END;
    EXIT WHEN stop;
  END LOOP;
  PERFORM pg_temp.rolecall_deallocate('^rolecall_');
END
$function$;
