-- F50: the rollback of phase 3 drops the view of phase 1
-- caught by: tests/migrations/test_rollback.py::test_rollback_without_its_phase_changes_nothing[phase 3]
-- caught by: tests/migrations/test_rollback.py::test_a_half_applied_phase_rolls_back[3.1 audit_logs_view]
-- instead of: migrations/phase_3_views_and_rules/rollback.sql
DROP TABLE IF EXISTS catalog.service_booking_rules;
DROP VIEW IF EXISTS engagement.salon_reviews_with_counts_view;
DROP VIEW IF EXISTS audit.audit_logs_view;
