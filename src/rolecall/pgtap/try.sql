-- The personas: the role, the claims of the token, and other settings of a request.
CREATE TEMP TABLE rolecall_personas (name text PRIMARY KEY, role text, claims text, settings jsonb) ON COMMIT DROP;

-- Sign in as a persona until the end of the transaction or savepoint, as PostgREST does for a request.
CREATE FUNCTION pg_temp.sign_in(persona text, method text) RETURNS void
LANGUAGE plpgsql AS $function$
DECLARE
  me record;
  setting record;
BEGIN
  SELECT * INTO STRICT me FROM pg_temp.rolecall_personas AS p WHERE p.name = persona;
  PERFORM set_config('role', me.role, true);
  PERFORM set_config('request.jwt.claims', me.claims, true), set_config('request.method', method, true);
  FOR setting IN SELECT key, value FROM jsonb_each_text(me.settings) LOOP
    PERFORM set_config(setting.key, setting.value, true);
  END LOOP;
END
$function$;

-- The present values of the settings that a persona signs in with, without the role. The rows of a view may depend on them.
CREATE FUNCTION pg_temp.settings_before(persona text) RETURNS jsonb
LANGUAGE sql AS $function$
  SELECT jsonb_object_agg(key, current_setting(key, true))
  FROM pg_temp.rolecall_personas AS p,
    jsonb_object_keys(p.settings || '{"request.jwt.claims": "", "request.method": ""}') AS key
  WHERE p.name = persona
$function$;

-- What happens when a persona runs a statement on the one row of `target` that `condition` selects.
--   yes  the row was read or written
--   -    no error, and no row
--   !    refused (42501)
--   the SQLSTATE of another error
-- `before` runs first. WHERE CURRENT OF rolecall_row in the statement is a write that reads no column. Before an INSERT,
-- the row is deleted. Everything is rolled back.
CREATE FUNCTION pg_temp.try_as(persona text, target text, condition text, statement text, before text DEFAULT '')
RETURNS text
LANGUAGE plpgsql AS $function$
DECLARE
  command text := split_part(statement, ' ', 1);
  look text := format('SELECT found::text FROM (SELECT * FROM %s WHERE %s) AS found', target, condition);
  row_before text;
  row_after text;
  settings_before jsonb;
  affected bigint;
  acting boolean := false;
  verdict text;
BEGIN
  BEGIN
    IF before <> '' THEN
      EXECUTE before;
    END IF;
    EXECUTE look INTO STRICT row_before;
    IF command = 'INSERT' THEN
      PERFORM pg_temp.make_room(target, condition);
    ELSIF statement LIKE '%WHERE CURRENT OF rolecall_row' THEN
      PERFORM pg_temp.aim_at(target, condition);
    ELSIF command = 'SELECT' THEN
      SET LOCAL transaction_read_only = on;
    END IF;
    settings_before := pg_temp.settings_before(persona);
    PERFORM pg_temp.sign_in(
      persona,
      CASE command WHEN 'SELECT' THEN 'GET' WHEN 'INSERT' THEN 'POST' WHEN 'UPDATE' THEN 'PATCH' ELSE 'DELETE' END
    );
    acting := true;
    EXECUTE statement;
    GET DIAGNOSTICS affected = ROW_COUNT;
    SET CONSTRAINTS ALL IMMEDIATE;
    acting := false;
    IF affected = 0 AND command <> 'SELECT' THEN  -- a soft delete counts no row, and changes it
      PERFORM set_config('role', 'none', true);
      PERFORM set_config(key, value, true) FROM jsonb_each_text(settings_before);
      EXECUTE look INTO row_after;
      affected := CASE
        WHEN row_after IS DISTINCT FROM CASE command WHEN 'INSERT' THEN NULL ELSE row_before END THEN 1 ELSE 0
      END;
    END IF;
    verdict := CASE WHEN affected > 0 THEN 'yes' ELSE '-' END;
    RAISE EXCEPTION 'roll back';
  EXCEPTION
    WHEN OTHERS OR ASSERT_FAILURE OR QUERY_CANCELED THEN
      verdict := CASE
        WHEN verdict IS NOT NULL THEN verdict
        WHEN NOT acting THEN format('the row cannot be tried: %s %s', SQLSTATE, SQLERRM)
        WHEN SQLSTATE = '42501' THEN '!'
        ELSE SQLSTATE
      END;
  END;
  RETURN verdict;
END
$function$;

-- Delete a row that is inserted again. What refers to it stays, and no trigger or rule keeps it.
CREATE FUNCTION pg_temp.make_room(target text, condition text) RETURNS void
LANGUAGE plpgsql AS $function$
DECLARE
  is_left boolean;
BEGIN
  BEGIN
    IF (SELECT relkind IN ('r', 'p') FROM pg_class WHERE oid = target::regclass) THEN
      SET LOCAL session_replication_role = replica;
    END IF;
  EXCEPTION
    WHEN insufficient_privilege THEN NULL;  -- its triggers run
  END;
  BEGIN
    EXECUTE format('DELETE FROM %s WHERE %s', target, condition);
  EXCEPTION
    WHEN object_not_in_prerequisite_state THEN RETURN;  -- nobody can delete from the view
  END;
  IF current_setting('session_replication_role') = 'replica' THEN
    SET LOCAL session_replication_role = origin;
  END IF;
  EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %s)', target, condition) INTO is_left;
  IF is_left THEN
    RAISE EXCEPTION 'it cannot be deleted, to be inserted again';
  END IF;
END
$function$;

-- Aim the cursor at a row. All partitions must be in the plan, also those in which the condition cannot find the row.
CREATE FUNCTION pg_temp.aim_at(target text, condition text) RETURNS void
LANGUAGE plpgsql SET enable_partition_pruning = off SET constraint_exclusion = off AS $function$
DECLARE
  the_row refcursor := 'rolecall_row';
  place record;
BEGIN
  OPEN the_row FOR EXECUTE format('SELECT FROM %s WHERE %s FOR UPDATE', target, condition);
  FETCH the_row INTO place;
END
$function$;
