-- F51: the rollback of phase 1 leaves the storage policies and the bucket
-- caught by: tests/migrations/test_rollback.py::test_rollback_without_its_phase_changes_nothing[phase 1]
-- caught by: tests/migrations/test_rollback.py::test_rollback_of_phase_1_removes_only_its_own_additions[the baseline's own grants]
-- instead of: migrations/phase_1_critical_tables/rollback.sql
DROP VIEW IF EXISTS engagement.customer_favorites_view;
DROP VIEW IF EXISTS audit.audit_logs_view;
DROP FUNCTION IF EXISTS audit.log_action(varchar, uuid, varchar, jsonb, jsonb, text);

DROP TABLE IF EXISTS audit.audit_logs;
DROP TABLE IF EXISTS engagement.customer_favorites;
DROP TABLE IF EXISTS communication.message_threads;
DROP TABLE IF EXISTS scheduling.appointment_services;

DROP FUNCTION IF EXISTS communication.keep_thread_participants();
DROP FUNCTION IF EXISTS communication.soft_delete_thread();
DROP FUNCTION IF EXISTS scheduling.keep_appointment_service_in_its_salon();
