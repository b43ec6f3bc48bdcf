-- Triggers and rules. The name is left out of the definition: it is the name of the part.
SELECT 'relation', full_name, 'trigger ' || quote_ident(tgname), property, value
FROM relation r
JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT tgisinternal
CROSS JOIN LATERAL (VALUES
  (1, 'definition', regexp_replace(pg_get_triggerdef(t.oid), '^(CREATE (?:CONSTRAINT )?TRIGGER) (?:"(?:[^"]|"")*"|\S+) ', '\1 ')),
  (2, 'enabled', CASE tgenabled WHEN 'O' THEN 'yes' WHEN 'D' THEN 'no' WHEN 'R' THEN 'only on a replica'
                                ELSE 'also on a replica' END)
) AS properties (position, property, value)
UNION ALL
SELECT 'relation', full_name, 'rule ' || quote_ident(rulename), property, value
FROM relation r
JOIN pg_rewrite w ON w.ev_class = r.oid AND rulename <> '_RETURN'
CROSS JOIN LATERAL (VALUES
  (1, 'definition', regexp_replace(pg_get_ruledef(w.oid), '^.*? AS\s+(?=ON )', '')),
  (2, 'enabled', CASE ev_enabled WHEN 'O' THEN 'yes' WHEN 'D' THEN 'no' WHEN 'R' THEN 'only on a replica'
                                 ELSE 'also on a replica' END)
) AS properties (position, property, value)
ORDER BY 2, 3
