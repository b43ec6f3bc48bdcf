-- F52b: the rollback of phase 4 drops objects of others that depend on its views
-- caught by: tests/migrations/test_rollback.py::test_dependent_objects_stop_it[phase 4: a view on a view]
-- instead of: migrations/phase_4_pending_views/rollback.sql
DROP VIEW IF EXISTS scheduling.view_blocked_times_with_relations CASCADE;
DROP VIEW IF EXISTS communication.view_notifications CASCADE;
DROP VIEW IF EXISTS identity.view_profile_metadata CASCADE;
DROP VIEW IF EXISTS identity.view_user_preferences CASCADE;
