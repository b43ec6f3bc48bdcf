"""The cost of the policies: one call of auth.uid() for a query, and an index that finds the rows."""

from __future__ import annotations

import pytest

from rolecall import Session, World

# For each table: an INSERT of more rows, without a conflict in a unique index.
MORE = {
    "scheduling.appointment_services": """
        INSERT INTO scheduling.appointment_services (appointment_id, service_id)
        SELECT appointment_id, service_id FROM scheduling.appointment_services, generate_series(1, 20)""",
    "communication.message_threads": """
        INSERT INTO communication.message_threads (created_by_id, recipient_id, is_deleted)
        SELECT created_by_id, recipient_id, true FROM communication.message_threads, generate_series(1, 20)""",
    "engagement.customer_favorites": """
        INSERT INTO engagement.customer_favorites (customer_id, salon_id, is_favorite)
        SELECT customer_id, salon_id, false FROM engagement.customer_favorites, generate_series(1, 20)""",
    "audit.audit_logs": """
        INSERT INTO audit.audit_logs (entity_type, action, actor_id)
        SELECT entity_type, action, actor_id FROM audit.audit_logs, generate_series(1, 20)""",
    "catalog.service_booking_rules": """
        INSERT INTO catalog.service_booking_rules (service_id, salon_id)
        SELECT s.id, o.id FROM catalog.services s, organization.salons o ON CONFLICT DO NOTHING""",
}

INDEX = {
    "scheduling.appointment_services": {"idx_appointment_services_appointment_id"},
    "communication.message_threads": {"idx_message_threads_created_by", "idx_message_threads_recipient"},
    "engagement.customer_favorites": {"idx_customer_favorites_customer"},
    "catalog.service_booking_rules": {"idx_service_booking_rules_salon"},
}

COUNTING = """
    CREATE SEQUENCE auth.calls; GRANT ALL ON auth.calls TO PUBLIC;
    CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid LANGUAGE plpgsql STABLE AS $$
    BEGIN
      PERFORM nextval('auth.calls');
      RETURN (current_setting('request.jwt.claims', true)::jsonb ->> 'sub')::uuid;
    END $$
"""


def calls(db: Session, statement: str) -> int:
    """The number of calls of auth.uid() in a statement of a staff member."""
    db.execute("SELECT setval('auth.calls', 1)")
    with db.acting_as("staff"):
        db.execute(statement)
    return int(db.value("SELECT last_value FROM auth.calls")) - 1


@pytest.mark.parametrize("table", MORE)
def test_a_query_calls_auth_uid_once(db: Session, world: World, table: str) -> None:
    db.execute(COUNTING)
    few = calls(db, f"SELECT FROM {table}")
    before = db.value(f"SELECT count(*) FROM {table}")
    db.execute(MORE[table])
    assert db.value(f"SELECT count(*) FROM {table}") >= 2 * before == 2 * len(world.rows[table])
    assert calls(db, f"SELECT FROM {table}") == few > 0


@pytest.mark.parametrize("table", INDEX)
def test_an_index_finds_the_rows(db: Session, table: str) -> None:
    # In a small table the planner prefers a sequential scan or another index. This tests whether these indexes can
    # serve the query.
    db.execute("SET LOCAL enable_seqscan = off")
    name = table.split(".")[1]
    db.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}_pkey")
    others = (
        "SELECT format('%%I.%%I', schemaname, indexname) FROM pg_indexes WHERE tablename = %s AND indexname <> ALL (%s)"
    )
    for (index,) in db.rows(others, [name, list(INDEX[table])]):
        db.execute(f"DROP INDEX {index}")
    with db.reading_as("customer"):
        plan = db.explain(f"SELECT * FROM {table}")
    assert {index for index in INDEX[table] if index in plan} == INDEX[table], plan
