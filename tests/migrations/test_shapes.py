"""An existing table of another shape stops its step: the error names the table and the first column that differs."""

from __future__ import annotations

import re

import pytest

from rolecall.database.scratch import Scratch
from rolecall.errors import SqlError

# For each table: its step, and five ways to differ. Each way has a change of the table, and the first column that
# differs: as the step would create it, and as it is.
WAYS = ("another type", "a column too few", "a column too many", "other nullability", "another default")
SHAPES = {
    ("1.1", "scheduling.appointment_services"): (
        ("ALTER price_at_time TYPE numeric(12, 1)", "price_at_time numeric(10,2)", "price_at_time numeric(12,1)"),
        ("DROP staff_id", "staff_id uuid", "service_name character varying(255)"),
        ("ADD note text", "none", "note text"),
        ("ALTER service_id DROP NOT NULL", "service_id uuid NOT NULL", "service_id uuid"),
        ("ALTER duration_minutes SET DEFAULT 30", "duration_minutes integer", "duration_minutes integer DEFAULT 30"),
    ),
    ("1.2", "communication.message_threads"): (
        ("ALTER subject TYPE text", "subject character varying(500)", "subject text"),
        ("DROP metadata", "metadata jsonb DEFAULT '{}'::jsonb", "none"),
        ("ADD note text", "none", "note text"),
        ("ALTER description SET NOT NULL", "description text", "description text NOT NULL"),
        ("ALTER is_deleted DROP DEFAULT", "is_deleted boolean DEFAULT false", "is_deleted boolean"),
    ),
    ("1.3", "engagement.customer_favorites"): (
        ("DROP updated_by_id, ADD updated_by_id text", "updated_by_id uuid", "updated_by_id text"),
        ("DROP created_by_id", "created_by_id uuid", "updated_at timestamp with time zone"),
        ("ADD note text", "none", "note text"),
        ("ALTER salon_id DROP NOT NULL", "salon_id uuid NOT NULL", "salon_id uuid"),
        ("ALTER rating SET DEFAULT 5", "rating integer", "rating integer DEFAULT 5"),
    ),
    ("1.4", "audit.audit_logs"): (
        ("ALTER ip_address TYPE text", "ip_address inet", "ip_address text"),
        ("DROP change_summary", "change_summary text", "reason text"),
        ("ADD note text", "none", "note text"),
        # The plan has this NOT NULL, with which ON DELETE SET NULL can never work.
        ("ALTER actor_id SET NOT NULL", "actor_id uuid", "actor_id uuid NOT NULL"),
        ("ALTER metadata DROP DEFAULT", "metadata jsonb DEFAULT '{}'::jsonb", "metadata jsonb"),
    ),
    ("3.3", "catalog.service_booking_rules"): (
        ("ALTER deposit_amount TYPE real", "deposit_amount numeric(10,2)", "deposit_amount real"),
        ("DROP updated_at", "updated_at timestamp with time zone", "none"),
        ("ADD note text", "none", "note text"),
        ("ALTER salon_id DROP NOT NULL", "salon_id uuid NOT NULL", "salon_id uuid"),
        ("ALTER auto_confirm DROP DEFAULT", "auto_confirm boolean DEFAULT true", "auto_confirm boolean"),
    ),
}


@pytest.mark.parametrize(
    ("step", "table", "change", "expected", "actual"),
    [
        pytest.param(f"{number} {table.split('.')[1]}", table, *difference, id=f"{table}, {way}")
        for (number, table), differences in SHAPES.items()
        for way, difference in zip(WAYS, differences, strict=True)
    ],
)
def test_the_step_names_the_table_and_its_first_column_that_differs(
    migrated: Scratch, step: str, table: str, change: str, expected: str, actual: str
) -> None:
    (path,) = (each.path for phase in migrated.phases.values() for each in phase.steps if str(each) == step)
    with migrated.connection.transaction(force_rollback=True):
        migrated.connection.execute(f"TRUNCATE {table}; ALTER TABLE {table} {change}".encode())
        with pytest.raises(SqlError, match=f"{re.escape(table)} exists in another shape") as excinfo:
            migrated.execute(path)
    assert excinfo.value.sqlstate == "42P16"
    assert f'expected column "{expected}", found "{actual}"' in str(excinfo.value)
