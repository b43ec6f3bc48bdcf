"""A team's own objects of the plan's names survive steps and rollbacks in every order, with rows and without.

The database is one that is in use: it has the five tables in other shapes, several of the functions, a view, a policy
and the bucket.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import pytest

from rolecall.database.scratch import Scratch
from rolecall.errors import SqlError
from tests.migrations.helpers import as_owner, everything, rows, tables

TEAM = """
CREATE TABLE scheduling.appointment_services (id bigint PRIMARY KEY, start_time timestamptz, status text);
CREATE TABLE communication.message_threads (id bigint PRIMARY KEY, customer_id uuid REFERENCES identity.profiles (id));
CREATE INDEX idx_message_threads_created_by ON communication.message_threads (customer_id);
CREATE TABLE engagement.customer_favorites (id bigint PRIMARY KEY, salon_id uuid REFERENCES organization.salons (id));
CREATE TABLE audit.audit_logs (id bigint PRIMARY KEY, event_type text, severity text);
CREATE TABLE catalog.service_booking_rules (id bigint PRIMARY KEY, buffer_minutes integer);
ALTER TABLE catalog.service_booking_rules ENABLE ROW LEVEL SECURITY;
CREATE POLICY "Salon staff can view their booking rules" ON catalog.service_booking_rules USING (true);
CREATE VIEW audit.audit_logs_view AS SELECT id, event_type FROM audit.audit_logs;
CREATE VIEW communication.view_notifications AS SELECT id, message FROM communication.notifications;
COMMENT ON VIEW communication.view_notifications IS 'Ours.';
CREATE FUNCTION communication.send_notification(p_user_id uuid, p_title text) RETURNS uuid LANGUAGE sql
  AS 'SELECT p_user_id';
CREATE FUNCTION communication.get_unread_count(p_user_id uuid) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
CREATE FUNCTION communication.mark_notifications_read(p_user_id uuid, p_notification_ids uuid[] DEFAULT NULL)
  RETURNS integer LANGUAGE sql AS 'SELECT 0';
CREATE FUNCTION audit.log_action(p_event text) RETURNS void LANGUAGE sql AS 'SELECT NULL::void';
CREATE POLICY "Users can upload their own avatars" ON storage.objects FOR INSERT TO authenticated
  WITH CHECK (bucket_id = 'avatars');
INSERT INTO storage.buckets (id, name, public) VALUES ('avatars', 'avatars', true)
"""
ROWS = """
INSERT INTO scheduling.appointment_services VALUES (1, now(), 'booked');
INSERT INTO communication.message_threads VALUES (1, NULL);
INSERT INTO engagement.customer_favorites VALUES (1, NULL);
INSERT INTO audit.audit_logs VALUES (1, 'login', 'low');
INSERT INTO catalog.service_booking_rules VALUES (1, 15);
INSERT INTO storage.objects (bucket_id, name) VALUES ('avatars', 'a.png')
"""
STOPPED = ["1.1", "1.2", "1.3", "1.4", "1.5", "2.1.1", "2.1.2", "2.1.3", "3.1", "3.3", "4.2"]

with_and_without_rows = pytest.mark.parametrize("contents", [ROWS, "SELECT"], ids=["rows", "no rows"])


def apply(scratch: Scratch, *phases: int) -> list[str]:
    """Try each step of these phases; returns the numbers of those that stop."""
    stopped = []
    for number in phases:
        for step in scratch.phases[number].steps:
            try:
                scratch.execute(step.path)
            except SqlError:
                stopped.append(str(step).split()[0])
    return stopped


def rollback_stops(scratch: Scratch, number: int) -> bool:
    """Try a rollback; returns whether it stops because of what it finds."""
    try:
        scratch.rollback(number)
    except SqlError as error:
        return error.sqlstate == "55000"
    return False


@with_and_without_rows
def test_the_dump_after_steps_and_rollbacks_is_the_one_before(scratch: Callable[..., Scratch], contents: str) -> None:
    database = scratch()
    with database.connection.transaction():
        as_owner(database, TEAM + ";" + contents)
    existing = tables(database.connection)
    before = database.dump(), rows(database.connection, existing)

    # A rollback before any step.
    assert [number for number in (4, 3, 2, 1) if rollback_stops(database, number)] == [4, 3, 2, 1]
    assert (database.dump(), rows(database.connection, existing)) == before

    assert apply(database, 1, 2, 3, 4) == STOPPED
    applied = database.dump()
    assert [number for number in (4, 3, 2, 1) if rollback_stops(database, number)] == [4, 3, 2, 1]
    assert database.dump() == applied

    # Not even the setting for the phases' own rows removes anything of the team.
    database.connection.execute("SET enorae.discard_data = 'on'; SET enorae.keep_others = 'on'")
    for number in (4, 3, 2, 1):
        database.rollback(number)
    assert (database.dump(), rows(database.connection, existing)) == before


@pytest.mark.parametrize(
    ("order", "contents"),
    [
        *((order, ROWS) for order in permutations((1, 2, 3, 4))),
        # Rows stop a rollback, whatever the order is. Without them, the first order and the last are enough.
        *((order, "SELECT") for order in [(1, 2, 3, 4), (4, 3, 2, 1)]),
    ],
    ids=lambda value: {ROWS: "rows", "SELECT": "no rows"}.get(value) or "-".join(map(str, value)),
)
def test_every_order_of_steps_and_rollbacks_keeps_them(bare: Scratch, order: tuple[int, ...], contents: str) -> None:
    with bare.connection.transaction(force_rollback=True):
        as_owner(bare, TEAM + ";" + contents)
        objects, contents_before = everything(bare.connection)

        def are_kept() -> bool:
            now, contents_now = everything(bare.connection)
            changed = {name for name, text in objects.items() if now.get(name) != text}
            # Phase 1 opens the schemas, and notes it in the comment of one.
            return changed <= {f"schema {name}" for name in SCHEMAS} and all(
                contents_now[table] == found for table, found in contents_before.items()
            )

        for number in order:
            apply(bare, number)
            assert are_kept(), f"steps of phase {number}"
            rollback_stops(bare, number)
            assert are_kept(), f"rollback of phase {number}, which stops"
        bare.connection.execute("SET LOCAL enorae.discard_data = 'on'; SET LOCAL enorae.keep_others = 'on'")
        for number in order:
            bare.rollback(number)
            assert are_kept(), f"rollback of phase {number}"
        assert everything(bare.connection) == (objects, contents_before)


SCHEMAS = ("identity", "organization", "catalog", "scheduling", "communication", "engagement", "audit")
