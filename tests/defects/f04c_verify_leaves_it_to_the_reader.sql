-- F04c: the checks only list what exists, and the reader must notice what is missing
-- caught by: tests/migrations/test_sabotage.py::test_verify_names_the_broken_object
-- instead of: migrations/phase_1_critical_tables/verify.sql
SELECT EXISTS (
  SELECT FROM information_schema.tables
  WHERE table_schema = 'scheduling' AND table_name = 'appointment_services'
) AS table_exists;

SELECT relname, relrowsecurity FROM pg_class WHERE relname = 'appointment_services';

SELECT EXISTS (SELECT FROM storage.buckets WHERE name = 'avatars') AS bucket_exists;
