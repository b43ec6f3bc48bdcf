"""Rows for the tests of the five tables: valid rows, and rows that a foreign key can refer to."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from rolecall import Row, World

Columns = dict[str, Any]
InsertValid = Callable[..., Columns]  # see the fixture insert_valid
InsertParent = Callable[[str], tuple[str, str]]  # see the fixture insert_parent


def required_columns(world: World, table: str) -> Columns:
    """The columns that every row of a table needs. No row of the world has the same values in a unique index."""

    def key(of: str, name: str) -> str:
        return str(world.row(of, name)["id"])

    columns: dict[str, Columns] = {
        "scheduling.appointment_services": {
            "appointment_id": key("scheduling.appointments", "customer at the salon"),
            "service_id": key("catalog.services", "salon's haircut"),
        },
        "communication.message_threads": {
            "created_by_id": key("identity.profiles", "former_staff"),
            "recipient_id": key("identity.profiles", "staff_customer"),
        },
        "engagement.customer_favorites": {
            "customer_id": key("identity.profiles", "former_staff"),
            "salon_id": key("organization.salons", "salon"),
        },
        "audit.audit_logs": {"entity_type": "salon", "action": "update"},
        "catalog.service_booking_rules": {
            "service_id": key("catalog.services", "solo_salon's haircut"),
            "salon_id": key("organization.salons", "salon"),
        },
    }
    return columns[table]


def referenced_rows(world: World) -> dict[str, tuple[str, Row]]:
    """For each column that is a foreign key: a table, and a new row of it. No other row refers to the new row."""

    def copy(table: str, name: str, **changes: str) -> tuple[str, Row]:
        return table, {**world.row(table, name), **changes, "id": str(uuid4())}

    customer = world.row("identity.profiles", "customer")["id"]
    person = copy("identity.profiles", "customer", username="leaver", email="leaver@example.org")
    return {
        "appointment_id": copy("scheduling.appointments", "customer at the salon"),
        "salon_id": copy("organization.salons", "salon", slug="closing-down"),
        "service_id": copy("catalog.services", "salon's haircut"),
        "staff_id": copy("organization.staff_profiles", "staff", user_id=customer),
        **dict.fromkeys(("actor_id", "created_by_id", "customer_id", "recipient_id", "updated_by_id"), person),
    }
