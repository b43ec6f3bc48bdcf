-- F40: the actor of an audit entry is NOT NULL and ON DELETE SET NULL, so its profile cannot be deleted
-- caught by: tests/policies/test_audit_logs.py::test_entries_outlive_the_profile_of_their_actor
-- caught by: tests/constraints/test_audit_logs.py::test_the_log_outlives_the_actor
DELETE FROM audit.audit_logs WHERE actor_id IS NULL;
ALTER TABLE audit.audit_logs ALTER COLUMN actor_id SET NOT NULL;
