-- F05a: a step cannot run again, because its indexes exist
-- caught by: tests/migrations/test_apply.py::test_each_step_can_run_twice
-- instead of: migrations/phase_3_views_and_rules/3_3_service_booking_rules.sql
CREATE TABLE IF NOT EXISTS catalog.service_booking_rules (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  service_id uuid NOT NULL REFERENCES catalog.services (id) ON DELETE CASCADE,
  salon_id uuid NOT NULL REFERENCES organization.salons (id) ON DELETE CASCADE,
  min_notice_minutes integer DEFAULT 0,
  max_advance_days integer DEFAULT 90,
  requires_deposit boolean DEFAULT false,
  deposit_amount numeric(10, 2),
  max_concurrent_bookings integer,
  bookable_by_staff_only boolean DEFAULT false,
  auto_confirm boolean DEFAULT true,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz,
  CONSTRAINT valid_minutes CHECK (min_notice_minutes >= 0),
  CONSTRAINT valid_days CHECK (max_advance_days > 0),
  CONSTRAINT valid_concurrent CHECK (max_concurrent_bookings IS NULL OR max_concurrent_bookings > 0),
  CONSTRAINT valid_deposit CHECK (deposit_amount IS NULL OR deposit_amount > 0)
);

CREATE UNIQUE INDEX idx_service_booking_rules_unique ON catalog.service_booking_rules (service_id, salon_id);
CREATE INDEX idx_service_booking_rules_salon ON catalog.service_booking_rules (salon_id);
CREATE INDEX idx_service_booking_rules_service ON catalog.service_booking_rules (service_id);
