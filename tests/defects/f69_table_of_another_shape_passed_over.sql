-- F69: IF NOT EXISTS accepts any table of the same name
-- caught by: tests/migrations/test_shapes.py::test_the_step_names_the_table_and_its_first_column_that_differs[catalog.service_booking_rules, another type]
-- caught by: tests/migrations/test_shapes.py::test_the_step_names_the_table_and_its_first_column_that_differs[catalog.service_booking_rules, a column too many]
-- instead of: migrations/phase_3_views_and_rules/3_3_service_booking_rules.sql
CREATE TABLE IF NOT EXISTS catalog.service_booking_rules (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  service_id uuid NOT NULL REFERENCES catalog.services (id) ON DELETE CASCADE,
  salon_id uuid NOT NULL REFERENCES organization.salons (id) ON DELETE CASCADE
);
