-- Constraints, but not NOT NULL. A foreign key or a deferrable constraint does nothing while its triggers are off.
SELECT 'relation', full_name, 'constraint ' || quote_ident(conname), property, value
FROM relation r
JOIN pg_constraint c ON c.conrelid = r.oid AND contype IN ('c', 'f', 'p', 'u', 'x')
CROSS JOIN LATERAL (VALUES
  (1, 'definition', pg_get_constraintdef(c.oid)),
  (2, 'triggers', CASE (SELECT bool_and(tgenabled = 'O') FROM pg_trigger WHERE tgconstraint = c.oid)
        WHEN false THEN 'disabled' WHEN true THEN 'enabled' END),
  (3, 'index', CASE (SELECT indisvalid AND indisready FROM pg_index WHERE indexrelid = conindid AND contype <> 'f')
        WHEN false THEN 'not valid' END)
) AS properties (position, property, value)
WHERE value IS NOT NULL
ORDER BY full_name, conname, position
