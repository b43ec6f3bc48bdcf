"""The purpose of each index: it serves a common query on a large table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from rolecall import Session, World
from rolecall.catalog.manifest import Manifest
from rolecall.grids.grid import fill

LATEST = "true ORDER BY created_at DESC LIMIT 10"

# For each index a condition by which it finds rows, or an order in which it returns them.
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
# Indexes that are not needed beside another one (F92).
SPARE = {
    "idx_message_threads_created_by": "idx_message_threads_participants",
    "idx_service_booking_rules_service": "idx_service_booking_rules_unique",
}

# The columns of the n-th of 5,000 more rows of each table. Their values are as rare as in a table of many years.
MANY = {
    "scheduling.appointment_services": {
        "appointment_id": "pg_temp.id(n / 2)",
        "service_id": "pg_temp.id(n % 500)",
        "staff_id": "pg_temp.id(n % 250)",
        "created_at": "pg_temp.moment(n)",
    },
    "communication.message_threads": {
        "created_by_id": "pg_temp.id(n / 20)",
        "recipient_id": "pg_temp.id(5000 + n % 250)",
        "salon_id": "pg_temp.id(n % 200)",
        "appointment_id": "pg_temp.id(n % 1000)",
        "created_at": "pg_temp.moment(n)",
        "last_message_at": "pg_temp.moment(n + n * 7 % 100)",
    },
    "engagement.customer_favorites": {
        "customer_id": "pg_temp.id(n / 20)",
        "salon_id": "pg_temp.id(5000 + n % 250)",
        "is_favorite": "n % 10 > 0",
        "created_at": "pg_temp.moment(n)",
    },
    "audit.audit_logs": {
        "entity_type": "CASE WHEN n % 100 = 0 THEN 'salon' ELSE 'type ' || n % 10 END",
        "entity_id": "pg_temp.id(n)",
        "action": "'action ' || n % 200",
        "actor_id": "pg_temp.id(n % 250)",
        "created_at": "pg_temp.moment(n)",
    },
    "catalog.service_booking_rules": {
        "service_id": "pg_temp.id(n)",
        "salon_id": "pg_temp.id(5000 + n % 250)",
    },
}

GROW = """
    CREATE OR REPLACE FUNCTION pg_temp.id(bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
      AS $$ SELECT md5($1::text)::uuid $$;
    CREATE OR REPLACE FUNCTION pg_temp.moment(bigint) RETURNS timestamptz LANGUAGE sql STABLE
      AS $$ SELECT timestamptz '2020-01-01 00:00Z' + $1 * interval '1 hour' $$;
    SET LOCAL session_replication_role = replica; -- the rows that the foreign keys refer to do not exist
    INSERT INTO {table} ({columns}) SELECT {values} FROM generate_series(1, 5000) AS n;
    ANALYZE {table};
"""


def grow(db: Session, table: str) -> None:
    """Insert so many rows into a table that an index is faster than a sequential scan."""
    db.execute(GROW.format(table=table, columns=", ".join(MANY[table]), values=", ".join(MANY[table].values())))


def drop(db: Session, table: str, *indexes: str) -> None:
    for index in indexes:
        db.execute(f"DROP INDEX IF EXISTS {table.split('.')[0]}.{index}")


def nodes(plan: Any) -> Iterator[dict[str, Any]]:
    """Every node of a plan."""
    for each in plan:
        yield (node := each.get("Plan", each))
        yield from nodes(node.get("Plans", []))


@pytest.mark.rolecall_pin
def test_every_index_has_a_query(manifest: Manifest) -> None:
    existing = {(item.owner, item.name) for item in manifest.of_kind("index", "unique")}
    assert {(table, index) for table, queries in QUERIES.items() for index in queries} == existing


def serving_index(db: Session, world: World, where: str, table: str) -> str:
    """The name of the index that serves a query, followed by the columns and sorts that it does not serve."""
    with db.reading_as("service"):
        plan = list(nodes(json.loads(db.explain(f"SELECT * FROM {table} WHERE {fill(where, world)}"))))
    conditions = {node["Index Name"]: node.get("Index Cond", "") for node in plan if "Index Name" in node}
    name, condition = next(((name, conditions[name]) for name in conditions if name.startswith("idx_")), ("", ""))
    columns = re.findall(r"(?:^|AND )(\w+(?:\(.*?\))?) = (?!false|true)", where)
    missing = [column for column in columns if column not in condition]
    sorts = [node["Node Type"] for node in plan if "Sort" in node["Node Type"]]
    return " ".join([name, *missing, *sorts])


@pytest.mark.parametrize("table", QUERIES)
def test_each_index_serves_a_common_query(db: Session, world: World, table: str) -> None:
    grow(db, table)
    drop(db, table, *SPARE)
    queries = {index: where for index, where in QUERIES[table].items() if index not in SPARE}
    assert {index: serving_index(db, world, where, table) for index, where in queries.items()} == {
        index: index for index in queries
    }


@pytest.mark.parametrize("index", SPARE)
def test_a_spare_index_has_a_substitute(db: Session, world: World, index: str) -> None:
    table, where = next((table, queries[index]) for table, queries in QUERIES.items() if index in queries)
    grow(db, table)
    for index_to_drop, other in ((index, SPARE[index]), (SPARE[index], index)):
        with db.connection.transaction(force_rollback=True):
            drop(db, table, index_to_drop)
            assert serving_index(db, world, where, table) == other
