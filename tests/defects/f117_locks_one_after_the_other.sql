-- F117: the rollback of phase 4 waits for one lock while it holds another
-- caught by: tests/migrations/test_traffic.py::test_a_client_that_locks_in_another_order_is_no_deadlock[phase 4 back]
-- instead of: migrations/phase_4_pending_views/rollback.sql
DROP VIEW IF EXISTS scheduling.view_blocked_times_with_relations;
DROP VIEW IF EXISTS communication.view_notifications;
DROP VIEW IF EXISTS identity.view_profile_metadata;
DROP VIEW IF EXISTS identity.view_user_preferences;
