"""The functions that act for everybody do so for the role service_role alone, not for a role that is named alike."""

import pytest

from rolecall import Session, World

CALLS = (
    "communication.get_unread_count({})",
    "communication.get_unread_counts({})",
    "communication.get_notifications_page({})",
    "communication.mark_notifications_read({})",
)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.removesuffix("({})"))
@pytest.mark.parametrize("role", ["service_role_2", "SERVICE_ROLE", "service_rol"])
def test_a_role_that_is_named_alike_is_not_the_service(db: Session, world: World, call: str, role: str) -> None:
    customer = world.personas["customer"].subject
    db.execute(f'CREATE ROLE "{role}" IN ROLE authenticated')
    with db.raises("42501", message="must be your own"):
        db.execute(f'SET LOCAL ROLE "{role}"')
        db.execute(f"SELECT {call.format('%s')}", [customer])
