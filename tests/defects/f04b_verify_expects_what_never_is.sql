-- F04b: the checks expect index lists without primary keys, and a unique constraint instead of an index
-- caught by: tests/migrations/test_apply.py::test_a_phase_applies_alone_except_3_after_1[phase 1-strict]
-- caught by: tests/migrations/test_verify.py::test_it_prints_nothing[phase 1]
-- instead of: migrations/phase_1_critical_tables/verify.sql
DO $$
DECLARE
  found text;
BEGIN
  SELECT string_agg(indexname, ', ' ORDER BY indexname COLLATE "C") INTO found
  FROM pg_indexes
  WHERE tablename = 'appointment_services';

  IF found IS DISTINCT FROM
    'idx_appointment_services_appointment_id, idx_appointment_services_created_at, '
    'idx_appointment_services_service_id, idx_appointment_services_staff_id'
  THEN
    RAISE EXCEPTION 'should return 4 indexes, found: %', found;
  END IF;

  SELECT string_agg(constraint_name, ', ') INTO found
  FROM information_schema.table_constraints
  WHERE table_name = 'customer_favorites' AND constraint_type = 'UNIQUE';

  IF found IS DISTINCT FROM 'idx_customer_favorites_unique' THEN
    RAISE EXCEPTION 'should return idx_customer_favorites_unique, found: %', found;
  END IF;
END
$$;
