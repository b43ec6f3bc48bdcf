"""One session reads, marks, deletes or loses its rights while another session writes the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from rolecall import World
from tests.races.arena import PATIENCE, Arena, sqlstate

LOCK = 4711  # an advisory lock: the superuser holds it, and a statement waits for it at each row


@contextmanager
def wait_at_each_row(arena: Arena, table: str, command: str) -> Iterator[None]:
    """For the block: a command waits for the advisory lock before it writes a row of the table."""
    arena.superuser.execute(
        f"""
        CREATE FUNCTION public.wait_for_the_test() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_advisory_xact_lock_shared({LOCK}); RETURN COALESCE(NEW, OLD); END $$;
        CREATE TRIGGER a_wait_for_the_test BEFORE {command} ON {table}
          FOR EACH ROW EXECUTE FUNCTION public.wait_for_the_test();
        SELECT pg_advisory_lock({LOCK})
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


INSERT = """
INSERT INTO communication.notifications (user_id, message, notification_type, created_at)
SELECT %s, 'race', 'race', last + n * interval '1 second'
FROM generate_series(1, %s) AS n, (SELECT max(created_at) FROM communication.notifications) AS newest (last)
"""


def notify(arena: Arena, person: str, number: int) -> None:
    """Insert notifications for a person, newer than all others."""
    arena.superuser.execute(INSERT, [person, number])


def replace_notifications(arena: Arena, person: str, number: int) -> None:
    """Delete the notifications of the round before, and insert new ones."""
    arena.superuser.execute("DELETE FROM communication.notifications WHERE notification_type = 'race'")
    notify(arena, person, number)


UNREAD = "SELECT count(*) FROM communication.notifications WHERE user_id = %s AND read_at IS NULL"


@pytest.fixture
def customer(arena: Arena, world: World) -> Iterator[str]:
    """The customer's id. After the test all notifications are as before it."""
    arena.superuser.execute("CREATE TEMPORARY TABLE backup AS TABLE communication.notifications")
    yield world.personas["customer"].subject
    arena.superuser.execute(
        "BEGIN; DELETE FROM communication.notifications; "
        "INSERT INTO communication.notifications TABLE backup; DROP TABLE backup; COMMIT"
    )


def test_notifications_that_arrive_during_marking_stay_unread(arena: Arena, customer: str, rounds: range) -> None:
    """The function marks and counts only the rows of its own snapshot."""
    for _ in rounds:
        replace_notifications(arena, customer, 5)
        before = arena.value(UNREAD, [customer])
        with arena.racers("customer") as (reader,):
            reader.begin()
            with wait_at_each_row(arena, "communication.notifications", "UPDATE"):
                update = reader.start("SELECT communication.mark_notifications_read(%s)", [customer])
                arena.wait_until_blocked(reader)
                notify(arena, customer, 3)
                arena.superuser.execute(f"SELECT pg_advisory_unlock({LOCK})".encode())
                assert update.result(PATIENCE) == [(before,)]
                reader.run("COMMIT")
        assert arena.value(UNREAD, [customer]) == 3


def test_concurrent_marking_counts_each_row_once(arena: Arena, customer: str, rounds: range) -> None:
    for _ in rounds:
        replace_notifications(arena, customer, 4)
        total = arena.value(UNREAD, [customer])
        with arena.racers("customer", "customer") as (one, other):
            one.begin()
            other.begin()
            (first,) = one.run("SELECT communication.mark_notifications_read(%s)", [customer])[0]
            second = other.start("SELECT communication.mark_notifications_read(%s)", [customer])
            arena.wait_until_blocked(other)
            one.run("COMMIT")
            assert (first, second.result(PATIENCE)) == (total, [(0,)])
            other.run("COMMIT")


PAGE = "SELECT id::text FROM communication.get_notifications_page(%s, 3, %s)"
ALL = "SELECT array(SELECT id::text FROM communication.get_notifications_page(%s, NULL))"


def read_pages(
    arena: Arena, customer: str, offsets: Callable[[int], Iterable[int]], *, new: int, isolation: str
) -> tuple[list[str], list[str]]:
    """Read the customer's notifications in pages of three, while ``new`` notifications arrive after each page.

    ``offsets`` gets the number of notifications before the first page. Returns their ids, and the ids of all pages.
    """
    replace_notifications(arena, customer, 10)
    with arena.racers("customer") as (reader,):
        reader.begin(isolation)
        ((before,),) = reader.run(ALL, [customer])
        pages: list[str] = []
        for offset in offsets(len(before)):
            pages += [key for (key,) in reader.run(PAGE, [customer, offset])]
            notify(arena, customer, new)
        reader.run("COMMIT")
    return before, pages


def test_pages_of_one_snapshot_ignore_new_notifications(arena: Arena, customer: str, rounds: range) -> None:
    for _ in rounds:
        before, pages = read_pages(
            arena, customer, lambda number: range(0, number, 3), new=2, isolation="REPEATABLE READ"
        )
        assert pages == before


def test_pages_neither_repeat_nor_skip_with_adjusted_offsets(arena: Arena, customer: str, rounds: range) -> None:
    """A client that knows of each new notification adds it to the offset: four for each page of three."""
    for _ in rounds:
        before, pages = read_pages(
            arena, customer, lambda number: range(0, 4 * (number // 3 + 1), 4), new=1, isolation="READ COMMITTED"
        )
        assert pages == before


def test_new_notifications_make_pages_repeat_but_never_skip(arena: Arena, customer: str, rounds: range) -> None:
    """An offset counts from the newest: each new notification moves an old one to the next page (F104).

    Each page has three rows and one new one arrives, so that twice the number of rows reaches the last one.
    """
    for _ in rounds:
        before, pages = read_pages(
            arena, customer, lambda number: range(0, 2 * number, 3), new=1, isolation="READ COMMITTED"
        )
        assert sorted(set(pages)) == sorted(before)
        assert len(pages) > len(before)


@pytest.fixture
def thread(arena: Arena, world: World) -> Iterator[str]:
    """The id of a thread from the customer to the other owner. It is deleted after the test."""
    people = [world.personas[name].subject for name in ("customer", "other_owner")]
    insert = "INSERT INTO communication.message_threads (created_by_id, recipient_id) VALUES (%s, %s) RETURNING id"
    key = str(arena.value(insert, people))
    yield key
    arena.superuser.execute("DELETE FROM communication.message_threads WHERE id = %s", [key])


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_an_update_that_waits_for_a_soft_delete(arena: Arena, thread: str, end: str) -> None:
    """The update finds no row once the thread is deleted, and does not restore it."""
    with arena.racers("customer", "other_owner") as (one, other):
        one.begin()
        other.begin()
        assert one.run("DELETE FROM communication.message_threads WHERE id = %s", [thread]) == 0
        update = other.start("UPDATE communication.message_threads SET subject = 'race' WHERE id = %s", [thread])
        arena.wait_until_blocked(other)
        one.run(end)
        assert update.result(PATIENCE) == (0 if end == "COMMIT" else 1)
        other.run("COMMIT")
    state = arena.value("SELECT (is_deleted, subject)::text FROM communication.message_threads WHERE id = %s", [thread])
    assert state == ("(t,)" if end == "COMMIT" else "(f,race)")


def test_a_soft_delete_that_waits_for_an_update(arena: Arena, thread: str) -> None:
    """The thread is deleted, and keeps the values of the update."""
    with arena.racers("customer", "other_owner") as (one, other):
        one.begin()
        other.begin()
        assert one.run("UPDATE communication.message_threads SET subject = 'race' WHERE id = %s", [thread]) == 1
        delete = other.start("DELETE FROM communication.message_threads WHERE id = %s", [thread])
        arena.wait_until_blocked(other)
        one.run("COMMIT")
        delete.result(PATIENCE)
        other.run("COMMIT")
    state = arena.value("SELECT (is_deleted, subject)::text FROM communication.message_threads WHERE id = %s", [thread])
    assert state == "(t,race)"


def test_both_delete_the_thread(arena: Arena, thread: str) -> None:
    """The second DELETE waits for the first, and is no error."""
    with arena.racers("customer", "other_owner") as (one, other):
        one.begin()
        other.begin()
        one.run("DELETE FROM communication.message_threads WHERE id = %s", [thread])
        delete = other.start("DELETE FROM communication.message_threads WHERE id = %s", [thread])
        arena.wait_until_blocked(other)
        one.run("COMMIT")
        delete.result(PATIENCE)
        other.run("COMMIT")
    assert arena.value("SELECT is_deleted FROM communication.message_threads WHERE id = %s", [thread]) is True


@pytest.mark.parametrize(("isolation", "sees"), [("READ COMMITTED", False), ("REPEATABLE READ", True)])
def test_staff_rights_end_during_a_transaction(arena: Arena, world: World, isolation: str, sees: bool) -> None:
    """The next statement has lost the rights of the staff; a REPEATABLE READ transaction keeps them (F105)."""
    count = "SELECT count(*) FROM catalog.service_booking_rules"
    appointment, service = (world.names()[name] for name in ("same_salon_appointment", "salon_service"))
    insert = "INSERT INTO scheduling.appointment_services (appointment_id, service_id) VALUES "
    insert += f"('{appointment}', '{service}')"
    staff = world.personas["staff"].subject
    arena.superuser.execute("CREATE TEMPORARY TABLE backup AS TABLE organization.staff_profiles")
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
            "UPDATE organization.staff_profiles p SET user_id = k.user_id FROM backup k WHERE k.id = p.id;"
            "DROP TABLE backup"
        )


@pytest.mark.parametrize("first", ["the profile is deleted", "the favourite is added"])
def test_a_favourite_is_added_while_its_profile_is_deleted(arena: Arena, world: World, first: str) -> None:
    """Either the favourite is refused, or it is deleted with the profile: no favourite remains without a profile."""
    person = "11111111-1111-4111-8111-111111111111"
    arena.superuser.execute("INSERT INTO identity.profiles (id) VALUES (%s)", [person])
    insert = "INSERT INTO engagement.customer_favorites (customer_id, salon_id) VALUES (%s, %s)"
    delete = "DELETE FROM identity.profiles WHERE id = %s"
    values = [person, world.names()["salon"]]
    with arena.racers("service", "service") as (one, other):
        one.begin()
        other.begin()
        if first == "the profile is deleted":
            one.run(delete, [person])
            pending = other.start(insert, values)
        else:
            one.run(insert, values)
            pending = other.start(delete, [person])
        arena.wait_until_blocked(other)
        one.run("COMMIT")
        result = sqlstate(pending)
        other.run("ROLLBACK" if result else "COMMIT")
    assert result == ("23503" if first == "the profile is deleted" else "")
    favorites = "SELECT (SELECT count(*) FROM engagement.customer_favorites WHERE customer_id = %s)::int"
    assert arena.value(favorites, [person]) == 0
    assert arena.value("SELECT count(*) FROM identity.profiles WHERE id = %s", [person]) == 0


def test_a_file_is_added_while_its_bucket_is_deleted(arena: Arena) -> None:
    """A file without a bucket is refused."""
    arena.superuser.execute("INSERT INTO storage.buckets (id, name) VALUES ('race', 'race')")
    with arena.racers("service", "service") as (one, other):
        one.begin()
        other.begin()
        one.run("SET LOCAL storage.allow_delete_query = 'true'")
        assert one.run("DELETE FROM storage.buckets WHERE id = 'race'") == 1
        pending = other.start("INSERT INTO storage.objects (bucket_id, name) VALUES ('race', 'x')")
        arena.wait_until_blocked(other)
        one.run("COMMIT")
        assert sqlstate(pending) == "23503"
        other.run("ROLLBACK")
    assert arena.value("SELECT count(*) FROM storage.objects WHERE bucket_id = 'race'") == 0
