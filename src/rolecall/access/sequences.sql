-- The sequences of serial and identity columns go on after the numbers that the rows have. A sequence may also belong to
-- a column of another type, of which it makes a part. What the current role may not read or set is left alone.
DECLARE
  owned record;
  latest numeric;
  beyond boolean;
BEGIN
  FOR owned IN
    SELECT
      s.oid::regclass AS sequence,
      c.oid::regclass AS relation,
      a.attname AS "column",
      q.seqincrement > 0 AS ascends,
      q.seqmin AS least,
      q.seqmax AS most
    FROM pg_depend AS d
    JOIN pg_sequence AS q ON q.seqrelid = d.objid
    JOIN pg_class AS s ON s.oid = q.seqrelid
    JOIN pg_class AS c ON c.oid = d.refobjid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_attribute AS a ON (a.attrelid, a.attnum) = (c.oid, d.refobjsubid)
    JOIN pg_type AS t ON t.oid = a.atttypid
    WHERE (d.classid, d.refclassid) = ('pg_class'::regclass, 'pg_class'::regclass)
      AND d.deptype IN ('a', 'i')
      AND coalesce(nullif(t.typbasetype, 0), t.oid) IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
      AND n.nspname || '.' || c.relname = ANY ({tables})
  LOOP
    CONTINUE WHEN NOT has_sequence_privilege(owned.sequence, 'SELECT');
    CONTINUE WHEN NOT has_sequence_privilege(owned.sequence, 'UPDATE');
    CONTINUE WHEN NOT has_column_privilege(owned.relation, owned."column", 'SELECT');
    EXECUTE format(
      'SELECT %s(%I) FROM %s', CASE WHEN owned.ascends THEN 'max' ELSE 'min' END, owned."column", owned.relation
    ) INTO latest;
    EXECUTE format(
      'SELECT %L::numeric %s last_value FROM %s',
      latest, CASE WHEN owned.ascends THEN '>=' ELSE '<=' END, owned.sequence
    ) INTO beyond;
    IF beyond AND latest BETWEEN owned.least AND owned.most THEN
      PERFORM setval(owned.sequence, latest::bigint);
    END IF;
  END LOOP;
END
