-- F52a: the rollback of phase 3 drops a table with rows without a warning
-- caught by: tests/migrations/test_rollback.py::test_it_stops_and_counts_the_rows_of_each_table[phase 3]
-- caught by: tests/migrations/test_rollback.py::test_only_the_value_on_discards_rows
-- caught by: tests/features/test_runbook.py::test_a_rollback_that_stops_changes_nothing[phase 3-without both]
-- instead of: migrations/phase_3_views_and_rules/rollback.sql
DROP TABLE IF EXISTS catalog.service_booking_rules;
DROP VIEW IF EXISTS engagement.salon_reviews_with_counts_view;

DO $$
BEGIN
  IF to_regclass('audit.audit_logs_view') IS NOT NULL THEN
    COMMENT ON VIEW audit.audit_logs_view IS NULL;
  END IF;
END
$$;
