-- F04a: the check of the storage policies reads columns that pg_policies does not have
-- caught by: tests/migrations/test_apply.py::test_a_phase_applies_alone_except_3_after_1[phase 1-strict]
-- caught by: tests/migrations/test_verify.py::test_it_prints_nothing[phase 1]
-- instead of: migrations/phase_1_critical_tables/verify.sql
SELECT policy_name, definition
FROM pg_policies
WHERE schemaname = 'storage' AND tablename = 'objects' AND definition LIKE '%avatars%'
ORDER BY policy_name;
