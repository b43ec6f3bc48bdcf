"""An existing table or index of another shape stops its step: the error names it and the first difference.

IF NOT EXISTS alone would accept it. test_ownership.py tests what a step would replace.
"""

from __future__ import annotations

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


def run_step_after(scratch: Scratch, number: str, change: str) -> str:
    """Change the migrated schema and run a step again, which must fail; returns the error."""
    (path,) = (each.path for phase in scratch.phases.values() for each in phase.steps if str(each).split()[0] == number)
    with scratch.connection.transaction(force_rollback=True):
        scratch.connection.execute(change.encode())
        with pytest.raises(SqlError, match="exists in another shape") as excinfo:
            scratch.execute(path)
    assert excinfo.value.sqlstate == "42P16"
    assert "and run this again." in str(excinfo.value)
    return str(excinfo.value)


@pytest.mark.parametrize(
    ("number", "table", "change", "expected", "actual"),
    [
        pytest.param(number, table, *difference, id=f"{table}, {way}")
        for (number, table), differences in SHAPES.items()
        for way, difference in zip(WAYS, differences, strict=True)
    ],
)
def test_the_step_names_the_table_and_its_first_column_that_differs(
    migrated: Scratch, number: str, table: str, change: str, expected: str, actual: str
) -> None:
    message = run_step_after(migrated, number, f"TRUNCATE {table}; ALTER TABLE {table} {change}")
    assert f'{table} exists in another shape: expected column "{expected}", found "{actual}"' in message


# For each table: its step, a CHECK, and an index with the column that it is on.
PARTS = {
    "scheduling.appointment_services": ("1.1", "valid_price", "idx_appointment_services_staff_id", "staff_id"),
    "communication.message_threads": ("1.2", "valid_unread", "idx_message_threads_salon", "salon_id"),
    "engagement.customer_favorites": ("1.3", "valid_customer_salon", "idx_customer_favorites_customer", "customer_id"),
    "audit.audit_logs": ("1.4", "valid_action", "idx_audit_logs_action", "action"),
    "catalog.service_booking_rules": ("3.3", "valid_days", "idx_service_booking_rules_salon", "salon_id"),
}


@pytest.mark.parametrize("table", PARTS)
def test_the_step_names_a_constraint_that_differs(migrated: Scratch, table: str) -> None:
    number, check, _, _ = PARTS[table]
    drop = f"ALTER TABLE {table} DROP CONSTRAINT {check}"
    message = run_step_after(migrated, number, f"{drop}, ADD CONSTRAINT {check} CHECK (true)")
    assert f'{table} exists in another shape: expected constraint "{check}: CHECK (' in message
    assert f'found "{check}: CHECK (true)"' in message
    assert 'found "none"' in run_step_after(migrated, number, drop)
    for stray in ("CHECK (true)", "EXCLUDE USING btree (id WITH =)"):
        added = run_step_after(migrated, number, f"ALTER TABLE {table} ADD CONSTRAINT stray {stray}")
        assert f'expected constraint "none", found "stray: {stray}"' in added


@pytest.mark.parametrize("table", PARTS)
@pytest.mark.parametrize(
    ("other", "found"),
    [
        ("CREATE UNIQUE INDEX {name} ON {table} (id)", "CREATE UNIQUE INDEX {name} ON {table} USING btree (id)"),
        ("CREATE INDEX {name} ON {schema}.stray (id)", "CREATE INDEX {name} ON {schema}.stray USING btree (id)"),
        ("CREATE SEQUENCE {schema}.{name}", "not an index"),
    ],
    ids=["on another column", "on another table", "a sequence of its name"],
)
def test_the_step_names_an_index_that_differs(migrated: Scratch, table: str, other: str, found: str) -> None:
    number, _, name, column = PARTS[table]
    words = {"table": table, "schema": table.split(".")[0], "name": name}
    change = f"CREATE TABLE {words['schema']}.stray (id uuid); DROP INDEX {words['schema']}.{name}; " + other
    message = run_step_after(migrated, number, change.format(**words))
    expected = f"CREATE INDEX {name} ON {table} USING btree ({column})"
    index = f"{words['schema']}.{name}"
    assert f'{index} exists in another shape: expected index "{expected}", found "{found.format(**words)}"' in message


@pytest.mark.parametrize("table", PARTS)
def test_the_step_creates_an_index_that_is_missing(migrated: Scratch, table: str) -> None:
    number, _, name, _ = PARTS[table]
    (phase, path) = next(
        (phase, step.path) for phase in migrated.phases.values() for step in phase.steps if str(step).startswith(number)
    )
    with migrated.connection.transaction(force_rollback=True):
        migrated.connection.execute(f"DROP INDEX {table.split('.')[0]}.{name}".encode())
        migrated.execute(path)
        migrated.verify(phase.number)
