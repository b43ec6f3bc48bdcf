"""What each index is for: an everyday query that it answers where a table is too large to be read whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from rolecall import Session, World
from rolecall.database import Built
from rolecall.grid import fill

LATEST = "true ORDER BY created_at DESC LIMIT 10"

# For each index the rows that it finds, or the order in which it gives them.
QUERIES = {
    "scheduling.appointment_services": {
        "idx_appointment_services_appointment_id": "appointment_id = {same_salon_appointment}",
        "idx_appointment_services_service_id": "service_id = {salon_service}",
        "idx_appointment_services_staff_id": "staff_id = "
        "(SELECT sp.id FROM organization.staff_profiles sp WHERE sp.user_id = {staff})",
        "idx_appointment_services_created_at": LATEST,
    },
    "communication.message_threads": {
        "idx_message_threads_created_by": "created_by_id = {customer}",
        "idx_message_threads_recipient": "recipient_id = {customer}",
        "idx_message_threads_participants": "created_by_id = {customer} AND recipient_id = {staff}",
        "idx_message_threads_unique_active": "LEAST(created_by_id, recipient_id) = LEAST({customer}::uuid, {staff}) "
        "AND GREATEST(created_by_id, recipient_id) = GREATEST({customer}::uuid, {staff}) AND is_deleted = false",
        "idx_message_threads_salon": "salon_id = {salon}",
        "idx_message_threads_appointment": "appointment_id = {same_salon_appointment}",
        "idx_message_threads_created_at": LATEST,
        "idx_message_threads_last_message_at": "true ORDER BY last_message_at DESC NULLS LAST LIMIT 10",
    },
    "engagement.customer_favorites": {
        "idx_customer_favorites_customer": "customer_id = {customer}",
        "idx_customer_favorites_salon": "salon_id = {salon}",
        "idx_customer_favorites_unique": "customer_id = {customer} AND salon_id = {salon} AND is_favorite = true",
        "idx_customer_favorites_created_at": LATEST,
    },
    "audit.audit_logs": {
        "idx_audit_logs_entity": "entity_type = 'salon' AND entity_id = {salon}",
        "idx_audit_logs_actor": "actor_id = {owner}",
        "idx_audit_logs_action": "action = 'update'",
        "idx_audit_logs_recent": "entity_type = 'salon' ORDER BY created_at DESC LIMIT 10",
        "idx_audit_logs_created_at": LATEST,
    },
    "catalog.service_booking_rules": {
        "idx_service_booking_rules_service": "service_id = {salon_service}",
        "idx_service_booking_rules_salon": "salon_id = {salon}",
        "idx_service_booking_rules_unique": "service_id = {salon_service} AND salon_id = {salon}",
    },
}
CASES = [pytest.param(table, index, id=index) for table, queries in QUERIES.items() for index in queries]


def nodes(plan: Any) -> Iterator[dict[str, Any]]:
    """Every node of a plan."""
    for each in plan:
        yield (node := each.get("Plan", each))
        yield from nodes(node.get("Plans", []))


def test_every_index_has_a_query(built: Built) -> None:
    there = {(item.owner, item.name) for item in built.of_kind("index", "unique")}
    assert {(table, index) for table, queries in QUERIES.items() for index in queries} == there


@pytest.mark.parametrize(("table", "index"), CASES)
def test_it_answers_an_everyday_query(db: Session, world: World, table: str, index: str) -> None:
    # The tables are too small for an index to be worth it: what is asked here is whether this one can serve.
    db.execute("SET LOCAL enable_seqscan = off")
    db.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table.split('.')[1]}_pkey")
    for other in QUERIES[table]:
        if other != index:
            db.execute(f"DROP INDEX {table.split('.')[0]}.{other}")
    where = QUERIES[table][index]
    with db.reading_as("service"):
        plan = list(nodes(json.loads(db.plan(f"SELECT * FROM {table} WHERE {fill(where, world)}"))))
    serving = [node.get("Index Cond", "") for node in plan if node.get("Index Name") == index]
    assert len(serving) == 1, plan
    columns = re.findall(r"(?:^|AND )(\w+(?:\(.*?\))?) = (?!false|true)", where)
    assert [column for column in columns if column not in serving[0]] == []
    assert serving[0] or not columns
    assert [node["Node Type"] for node in plan if "Sort" in node["Node Type"]] == []
