"""Two sessions insert the same thread, favourite, booking rule or file at once: one of them gets a unique violation."""

from __future__ import annotations

import pytest

from rolecall import World
from tests.races.arena import Arena, sqlstate

UNIQUE = "23505"

# Two personas, the statement of each, and one that deletes the row. "{…}" is a name of the world, or a persona's id.
RACES = {
    "a thread, from both sides": (
        ("other_customer", "other_staff"),
        [
            "INSERT INTO communication.message_threads (created_by_id, recipient_id) "
            "VALUES ('{other_customer}', '{other_staff}')",
            "INSERT INTO communication.message_threads (created_by_id, recipient_id) "
            "VALUES ('{other_staff}', '{other_customer}')",
        ],
        "DELETE FROM communication.message_threads WHERE '{other_staff}' IN (created_by_id, recipient_id)",
    ),
    "a favourite, twice": (
        ("staff_customer", "staff_customer"),
        ["INSERT INTO engagement.customer_favorites (customer_id, salon_id) VALUES ('{staff_customer}', '{salon}')"]
        * 2,
        "DELETE FROM engagement.customer_favorites WHERE customer_id = '{staff_customer}'",
    ),
    "a booking rule, twice": (
        ("owner", "owner"),
        ["INSERT INTO catalog.service_booking_rules (service_id, salon_id) VALUES ('{solo_salon_service}', '{salon}')"]
        * 2,
        "DELETE FROM catalog.service_booking_rules WHERE (service_id, salon_id) = ('{solo_salon_service}', '{salon}')",
    ),
    "a file, twice": (
        ("customer", "customer"),
        ["INSERT INTO storage.objects (bucket_id, name) VALUES ('avatars', '{customer}/race.png')"] * 2,
        "BEGIN; SET LOCAL storage.allow_delete_query = 'true'; "
        "DELETE FROM storage.objects WHERE name = '{customer}/race.png'; COMMIT",
    ),
}


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
@pytest.mark.parametrize("race", RACES)
def test_one_session_wins(arena: Arena, world: World, rounds: range, race: str, end: str) -> None:
    """The second waits for the first. It gets a unique violation if the first commits, else it inserts its row."""
    people, statements, undo = RACES[race]
    one, other = (statement.format(**world.names()) for statement in statements)
    for _ in rounds:
        try:
            with arena.racers(*people) as (first, second):
                first.begin()
                second.begin()
                assert first.run(one) == 1
                pending = second.start(other)
                arena.wait_until_blocked(second)
                first.run(end)
                result = sqlstate(pending)
                assert result == (UNIQUE if end == "COMMIT" else ""), result
                second.run("ROLLBACK" if result else "COMMIT")
        finally:
            cursor = arena.superuser.execute(undo.format(**world.names()).encode())
            while cursor.nextset():
                pass


def test_two_log_entries_do_not_wait_for_each_other(arena: Arena, rounds: range) -> None:
    """Both entries are written, each with its own actor."""
    call = "SELECT audit.log_action('salon', '00000000-0000-4000-8000-000000000001', 'race')::text"
    for _ in rounds:
        with arena.racers("customer", "owner") as racers:
            for racer in racers:
                racer.begin()
            ids = [racer.run(call)[0][0] for racer in racers]
            for racer in reversed(racers):
                racer.run("COMMIT")
        query = (
            "SELECT array_agg(actor_id::text ORDER BY actor_id::text) FROM audit.audit_logs WHERE id = ANY (%s::uuid[])"
        )
        assert arena.value(query, [ids]) == sorted(racer.persona.subject for racer in racers)
        arena.superuser.execute("DELETE FROM audit.audit_logs WHERE id = ANY (%s::uuid[])", [ids])
