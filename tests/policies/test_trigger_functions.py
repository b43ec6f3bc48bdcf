"""The functions of the triggers: they look up nothing in the search path of the caller, and hide no error."""

from __future__ import annotations

import pytest

from rolecall import Session, World
from tests.functions.planted import plant

THREADS, SERVICES = "communication.message_threads", "scheduling.appointment_services"


@pytest.fixture
def planted(db: Session) -> Session:
    """The session, with objects of another schema in front of the right ones for the rest of the transaction."""
    plant(db, types=["uuid"])  # auth.uid() of the platform compares texts
    db.execute("SET LOCAL search_path = planted, pg_temp, pg_catalog")
    return db


def test_a_thread_is_deleted_softly(planted: Session, world: World) -> None:
    key = world.row(THREADS, "customer to staff")["id"]
    with planted.acting_as("customer"):
        planted.execute(f"DELETE FROM {THREADS} WHERE id OPERATOR(pg_catalog.=) %s", [key])
    assert planted.value(f"SELECT is_deleted FROM {THREADS} WHERE id OPERATOR(pg_catalog.=) %s", [key]) is True


@pytest.mark.parametrize(("target", "moves"), [("same_salon_appointment", True), ("other_salon_appointment", False)])
def test_a_service_moves_in_its_salon_alone(planted: Session, world: World, target: str, moves: bool) -> None:
    key, appointment = world.row(SERVICES, "customer at the salon")["id"], world.names()[target]
    move = f"UPDATE {SERVICES} SET appointment_id = %s WHERE id OPERATOR(pg_catalog.=) %s"
    with planted.acting_as("staff_of_both"):
        if moves:
            assert planted.execute(move, [appointment, key]).rowcount == 1
        else:
            with planted.raises("42501", message="cannot move to another salon"):
                planted.execute(move, [appointment, key])


def test_an_error_of_the_soft_delete_reaches_the_caller(db: Session, world: World) -> None:
    db.execute(f"ALTER TABLE {THREADS} ADD CONSTRAINT kept CHECK (NOT is_deleted) NOT VALID")
    key = world.row(THREADS, "customer to staff")["id"]
    with db.acting_as("customer"), db.raises("23514", constraint="kept"):
        db.execute(f"DELETE FROM {THREADS} WHERE id = %s", [key])
