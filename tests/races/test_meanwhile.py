"""What happens to one person's work while somebody else's goes on: reading, marking, deleting, losing a role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from rolecall import World

HELD = 4711  # an advisory lock that a test's superuser holds, and a statement waits for in its middle


@contextmanager
def stopped_at_each_row(arena: Any, table: str, command: str) -> Iterator[None]:
    """Every row of a table that a command writes waits for the advisory lock, for the block."""
    arena.superuser.execute(
        f"""
        CREATE FUNCTION public.wait_for_the_test() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_advisory_xact_lock_shared({HELD}); RETURN COALESCE(NEW, OLD); END $$;
        CREATE TRIGGER a_wait_for_the_test BEFORE {command} ON {table}
          FOR EACH ROW EXECUTE FUNCTION public.wait_for_the_test();
        SELECT pg_advisory_lock({HELD})
        """.encode()
    )
    try:
        yield
    finally:
        arena.superuser.execute(
            f"""
            SELECT pg_advisory_unlock_all();
            DROP TRIGGER a_wait_for_the_test ON {table};
            DROP FUNCTION public.wait_for_the_test()
            """.encode()
        )


ARRIVE = """
INSERT INTO communication.notifications (user_id, message, notification_type, created_at)
SELECT %s, 'race', 'race', last + n * interval '1 second'
FROM generate_series(1, %s) AS n, (SELECT max(created_at) FROM communication.notifications) AS newest (last)
"""


def notify(arena: Any, person: str, number: int) -> None:
    """Notifications arrive for somebody, each newer than all that there are."""
    arena.superuser.execute(ARRIVE, [person, number])


def notify_anew(arena: Any, person: str, number: int) -> None:
    """The same, with those gone that came in the round before."""
    arena.superuser.execute("DELETE FROM communication.notifications WHERE notification_type = 'race'")
    notify(arena, person, number)


@pytest.fixture
def customer(arena: Any, world: World) -> Iterator[str]:
    """The customer's id; the notifications that a test made are gone afterwards, and the others as they were."""
    me = world.personas["customer"].subject
    arena.superuser.execute("CREATE TEMPORARY TABLE kept AS TABLE communication.notifications")
    yield me
    arena.superuser.execute(
        "BEGIN; DELETE FROM communication.notifications; "
        "INSERT INTO communication.notifications TABLE kept; DROP TABLE kept; COMMIT"
    )


def test_what_arrives_while_one_marks_stays_unread(arena: Any, customer: str, rounds: range) -> None:
    """The count is of the rows that were marked; those that came meanwhile are not among them."""
    unread = "SELECT count(*) FROM communication.notifications WHERE user_id = %s AND read_at IS NULL"
    for _ in rounds:
        notify_anew(arena, customer, 5)
        before = arena.value(unread, [customer])
        with arena.racers("customer") as (reader,):
            reader.begin()
            with stopped_at_each_row(arena, "communication.notifications", "UPDATE"):
                marking = reader.start("SELECT communication.mark_notifications_read(%s)", [customer])
                arena.wait_until_blocked(reader)
                notify(arena, customer, 3)
                arena.superuser.execute(f"SELECT pg_advisory_unlock({HELD})".encode())
                assert marking.result(25) == [(before,)]
                reader.run("COMMIT")
        assert arena.value(unread, [customer]) == 3


def test_two_who_mark_at_once_count_each_row_once(arena: Any, customer: str, rounds: range) -> None:
    for _ in rounds:
        notify_anew(arena, customer, 4)
        total = arena.value(
            "SELECT count(*) FROM communication.notifications WHERE user_id = %s AND read_at IS NULL", [customer]
        )
        with arena.racers("customer", "customer") as (one, other):
            one.begin()
            other.begin()
            (first,) = one.run("SELECT communication.mark_notifications_read(%s)", [customer])[0]
            second = other.start("SELECT communication.mark_notifications_read(%s)", [customer])
            arena.wait_until_blocked(other)
            one.run("COMMIT")
            assert (first, second.result(25)) == (total, [(0,)])
            other.run("COMMIT")


PAGE = "SELECT id::text FROM communication.get_notifications_page(%s, 3, %s)"
ALL = "SELECT array(SELECT id::text FROM communication.get_notifications_page(%s, NULL))"


def test_pages_of_one_snapshot_know_nothing_of_what_comes_in(arena: Any, customer: str, rounds: range) -> None:
    for _ in rounds:
        notify_anew(arena, customer, 10)
        with arena.racers("customer") as (reader,):
            reader.begin("REPEATABLE READ")
            before = reader.run(ALL, [customer])[0][0]
            seen: list[str] = []
            for offset in range(0, len(before), 3):
                seen += [key for (key,) in reader.run(PAGE, [customer, offset])]
                notify(arena, customer, 2)
            reader.run("COMMIT")
        assert seen == before


def test_pages_neither_repeat_nor_skip_for_whoever_counts_what_comes_in(
    arena: Any, customer: str, rounds: range
) -> None:
    """As a client can that is told of each new one: it moves the offset on by their number."""
    for _ in rounds:
        notify_anew(arena, customer, 10)
        with arena.racers("customer") as (reader,):
            reader.begin()
            before = reader.run(ALL, [customer])[0][0]
            seen: list[str] = []
            for page in range(len(before) // 3 + 1):
                seen += [key for (key,) in reader.run(PAGE, [customer, 3 * page + page])]
                notify(arena, customer, 1)
            reader.run("COMMIT")
        assert seen == before


def test_what_comes_in_makes_pages_repeat_and_never_skip(arena: Any, customer: str, rounds: range) -> None:
    """An offset counts from the newest, so that each that comes in pushes one back onto the next page (F104)."""
    for _ in rounds:
        notify_anew(arena, customer, 10)
        with arena.racers("customer") as (reader,):
            reader.begin()
            before = reader.run(ALL, [customer])[0][0]
            seen: list[str] = []
            for offset in range(0, 2 * len(before), 3):  # three a page, and one comes in meanwhile: it does end
                seen += [key for (key,) in reader.run(PAGE, [customer, offset])]
                notify(arena, customer, 1)
            reader.run("COMMIT")
        assert sorted(set(seen)) == sorted(before)
        assert len(seen) > len(before)


@pytest.fixture
def thread(arena: Any, world: World) -> Iterator[str]:
    """A thread from the customer to another owner, which is gone afterwards."""
    people = [world.personas[name].subject for name in ("customer", "other_owner")]
    make = "INSERT INTO communication.message_threads (created_by_id, recipient_id) VALUES (%s, %s) RETURNING id::text"
    key = str(arena.value(make, people))
    yield key
    arena.superuser.execute("DELETE FROM communication.message_threads WHERE id = %s", [key])


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_an_update_that_waits_for_a_soft_delete(arena: Any, thread: str, end: str) -> None:
    """It finds nothing once the thread is deleted; it does not bring it back."""
    with arena.racers("customer", "other_owner") as (one, other):
        one.begin()
        other.begin()
        assert one.run("DELETE FROM communication.message_threads WHERE id = %s", [thread]) == 0
        changing = other.start("UPDATE communication.message_threads SET subject = 'race' WHERE id = %s", [thread])
        arena.wait_until_blocked(other)
        one.run(end)
        assert changing.result(25) == (0 if end == "COMMIT" else 1)
        other.run("COMMIT")
    state = arena.value("SELECT (is_deleted, subject)::text FROM communication.message_threads WHERE id = %s", [thread])
    assert state == ("(t,)" if end == "COMMIT" else "(f,race)")


def test_a_soft_delete_that_waits_for_an_update(arena: Any, thread: str) -> None:
    """The thread is deleted, with what the update wrote."""
    with arena.racers("customer", "other_owner") as (one, other):
        one.begin()
        other.begin()
        assert one.run("UPDATE communication.message_threads SET subject = 'race' WHERE id = %s", [thread]) == 1
        deleting = other.start("DELETE FROM communication.message_threads WHERE id = %s", [thread])
        arena.wait_until_blocked(other)
        one.run("COMMIT")
        deleting.result(25)
        other.run("COMMIT")
    state = arena.value("SELECT (is_deleted, subject)::text FROM communication.message_threads WHERE id = %s", [thread])
    assert state == "(t,race)"


def test_both_delete_the_thread(arena: Any, thread: str) -> None:
    """The second finds it deleted; afterwards the two may begin another."""
    with arena.racers("customer", "other_owner") as (one, other):
        one.begin()
        other.begin()
        one.run("DELETE FROM communication.message_threads WHERE id = %s", [thread])
        deleting = other.start("DELETE FROM communication.message_threads WHERE id = %s", [thread])
        arena.wait_until_blocked(other)
        one.run("COMMIT")
        deleting.result(25)
        other.run("COMMIT")
    assert arena.value("SELECT is_deleted FROM communication.message_threads WHERE id = %s", [thread]) is True


@pytest.mark.parametrize(("isolation", "sees"), [("READ COMMITTED", False), ("REPEATABLE READ", True)])
def test_who_leaves_the_staff_in_mid_transaction(arena: Any, world: World, isolation: str, sees: bool) -> None:
    """The next statement knows; a transaction with one snapshot goes on as it began, reading and writing (F105)."""
    count = "SELECT count(*) FROM catalog.service_booking_rules"
    appointment, service = (world.names()[name] for name in ("same_salon_appointment", "salon_service"))
    insert = "INSERT INTO scheduling.appointment_services (appointment_id, service_id) VALUES "
    insert += f"('{appointment}', '{service}')"
    staff = world.personas["staff"].subject
    arena.superuser.execute("CREATE TEMPORARY TABLE kept AS TABLE organization.staff_profiles")
    try:
        with arena.racers("staff") as (member,):
            member.begin(isolation)
            assert member.run(count) == [(1,)]
            arena.superuser.execute("UPDATE organization.staff_profiles SET user_id = NULL WHERE user_id = %s", [staff])
            assert member.run(count) == [(int(sees),)]
            if sees:
                assert member.run(insert) == 1
            else:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    member.run(insert)
            member.run("ROLLBACK")
            member.begin(isolation)
            assert member.run(count) == [(0,)]
            member.run("ROLLBACK")
    finally:
        arena.superuser.execute(
            "UPDATE organization.staff_profiles p SET user_id = k.user_id FROM kept k WHERE k.id = p.id;DROP TABLE kept"
        )


@pytest.mark.parametrize("first", ["the profile goes", "the favourite comes"])
def test_a_favourite_comes_while_its_profile_goes(
    arena: Any, world: World, sqlstate: Callable[[Future[Any]], str], first: str
) -> None:
    """Either the favourite is refused, or it goes with the profile: none is left without one."""
    person = "11111111-1111-4111-8111-111111111111"
    arena.superuser.execute("INSERT INTO identity.profiles (id) VALUES (%s)", [person])
    insert = "INSERT INTO engagement.customer_favorites (customer_id, salon_id) VALUES (%s, %s)"
    delete = "DELETE FROM identity.profiles WHERE id = %s"
    values = [person, world.names()["salon"]]
    with arena.racers("service", "service") as (one, other):
        one.begin()
        other.begin()
        if first == "the profile goes":
            one.run(delete, [person])
            waiting = other.start(insert, values)
        else:
            one.run(insert, values)
            waiting = other.start(delete, [person])
        arena.wait_until_blocked(other)
        one.run("COMMIT")
        came = sqlstate(waiting)
        other.run("ROLLBACK" if came else "COMMIT")
    assert came == ("23503" if first == "the profile goes" else "")
    left = "SELECT (SELECT count(*) FROM engagement.customer_favorites WHERE customer_id = %s)::int"
    assert arena.value(left, [person]) == 0
    assert arena.value("SELECT count(*) FROM identity.profiles WHERE id = %s", [person]) == 0


def test_a_file_comes_while_its_bucket_goes(arena: Any, sqlstate: Callable[[Future[Any]], str]) -> None:
    """A file of no bucket is refused."""
    arena.superuser.execute("INSERT INTO storage.buckets (id, name) VALUES ('race', 'race')")
    with arena.racers("service", "service") as (one, other):
        one.begin()
        other.begin()
        one.run("SET LOCAL storage.allow_delete_query = 'true'")
        assert one.run("DELETE FROM storage.buckets WHERE id = 'race'") == 1
        waiting = other.start("INSERT INTO storage.objects (bucket_id, name) VALUES ('race', 'x')")
        arena.wait_until_blocked(other)
        one.run("COMMIT")
        assert sqlstate(waiting) == "23503"
        other.run("ROLLBACK")
    assert arena.value("SELECT count(*) FROM storage.objects WHERE bucket_id = 'race'") == 0
