-- Apply changes one after the other, each in a subtransaction. Returns the changes that the database accepts: the place
-- of the change in the list, and its column (NULL for a change that is one statement).
--
-- Triggers are switched off where the session may do that: they belong to the commands of the personas. That switches
-- off foreign keys too, so `verify` has a query for each, which must be true after the change.
--
-- A change of a row has `target`, `condition` and `sets`: column, literal, and the queries to verify. All columns are
-- tried at once first. If that is refused, they are tried one by one.
CREATE FUNCTION pg_temp.rolecall_change(changes jsonb) RETURNS TABLE (place bigint, changed text)
LANGUAGE plpgsql AS $function$
DECLARE
  change record;
  part jsonb;
  query text;
  command text;
  holds boolean;
  hits bigint;
  done text;
  bypass boolean;
BEGIN
  FOR change IN
    SELECT list.number, item.* FROM jsonb_array_elements(changes) WITH ORDINALITY AS list (value, number),
      jsonb_to_record(list.value) AS item (target text, condition text, sets jsonb, statement text, verify jsonb)
  LOOP
    -- Triggers of a view do its work.
    bypass := has_parameter_privilege('session_replication_role', 'SET')
      AND (SELECT c.relkind IN ('r', 'p') FROM pg_class AS c WHERE c.oid = change.target::regclass);
    -- Only if it differs: the session may have no right to set it, and PostgreSQL then discards all plans.
    IF bypass <> (current_setting('session_replication_role') = 'replica') THEN
      done := set_config('session_replication_role', CASE WHEN bypass THEN 'replica' ELSE 'origin' END, true);
    END IF;
    FOR part IN
      -- Everything, then each column by itself; only a list of several columns has a second try.
      SELECT tries.value FROM jsonb_array_elements(
        CASE WHEN change.statement IS NOT NULL THEN jsonb_build_array('[]'::jsonb)
             ELSE jsonb_build_array(change.sets)
               || CASE WHEN jsonb_array_length(change.sets) > 1
                       THEN (SELECT jsonb_agg(jsonb_build_array(one.value) ORDER BY one.number)
                             FROM jsonb_array_elements(change.sets) WITH ORDINALITY AS one (value, number))
                       ELSE '[]'::jsonb END
        END) AS tries
    LOOP
      BEGIN
        IF change.statement IS NOT NULL THEN
          EXECUTE change.statement;
        ELSE
          SELECT format('UPDATE %s SET %s WHERE %s', change.target,
                        string_agg(format('%s = %s', one.value ->> 'column', one.value ->> 'literal'), ', '),
                        change.condition)
          INTO command FROM jsonb_array_elements(part) AS one;
          EXECUTE command;
        END IF;
        GET DIAGNOSTICS hits = ROW_COUNT;
        IF hits = 0 OR hits > 1 AND change.statement IS NULL THEN
          RAISE EXCEPTION 'it concerns % rows', hits;
        END IF;
        IF NOT bypass THEN
          SET CONSTRAINTS ALL IMMEDIATE;
        END IF;
        FOR query IN
          SELECT jsonb_array_elements_text(one.value -> 'verify') FROM jsonb_array_elements(part) AS one
          UNION ALL SELECT jsonb_array_elements_text(change.verify)
        LOOP
          EXECUTE query INTO holds;
          IF NOT holds THEN
            RAISE EXCEPTION 'a foreign key does not hold';
          END IF;
        END LOOP;
        place := change.number;
        IF change.statement IS NOT NULL THEN
          changed := NULL;
          RETURN NEXT;
        END IF;
        FOR changed IN SELECT one.value ->> 'name' FROM jsonb_array_elements(part) AS one LOOP
          RETURN NEXT;
        END LOOP;
        EXIT WHEN jsonb_array_length(part) <> 1 OR part = change.sets;
      EXCEPTION WHEN OTHERS OR ASSERT_FAILURE THEN
        NULL;
      END;
    END LOOP;
  END LOOP;
  IF current_setting('session_replication_role') = 'replica' THEN
    done := set_config('session_replication_role', 'origin', true);
  END IF;
END
$function$;
