"""What must not decide about a function: other claims, headers and settings, and what is written in a notification."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from rolecall import FindChanges, Session, World
from rolecall.noninterference.requests import VALUES
from tests.functions.test_every_function import FUNCTIONS, VOLATILE, call, compile_again, every_function
from tests.requests import change_request, seem_to_use_tcp, words_in


def outcome(db: Session, world: World, name: str) -> Any:
    """The answer of a function, or how it refuses. What it writes is rolled back."""
    try:
        with db.connection.transaction(force_rollback=True):
            return call(db, world, name)
    except psycopg.Error as error:
        return error.sqlstate, error.diag.message_primary


def words_of(db: Session, name: str) -> list[str]:
    return words_in(db.value("SELECT prosrc FROM pg_proc WHERE oid = %s::regproc", [name]))


@pytest.mark.parametrize("caller", ["customer", "other_customer"])
@every_function
def test_only_the_role_and_the_subject_decide(db: Session, world: World, name: str, caller: str) -> None:
    words = words_of(db, name)
    with db.acting_as(caller):
        usual = outcome(db, world, name)
    for value in (*VALUES, *words, world.personas["customer"].subject, world.personas["owner"].subject):
        with db.acting_as(caller):
            change_request(db, words, value)
            assert outcome(db, world, name) == usual, value


@pytest.mark.parametrize("name", VOLATILE)
def test_the_request_does_not_decide_what_is_stored(db: Session, world: World, changes: FindChanges, name: str) -> None:
    words = words_of(db, name)
    for value in (*VALUES, *words):
        with db.connection.transaction(force_rollback=True):
            with changes() as changed, db.acting_as("customer"):
                change_request(db, words, value)
                assert call(db, world, name) == FUNCTIONS[name].answer, value
            assert changed == FUNCTIONS[name].changes(world, "customer"), value


@every_function
def test_a_connection_over_tcp_makes_no_difference(db: Session, world: World, changes: FindChanges, name: str) -> None:
    seem_to_use_tcp(db)
    compile_again(db, name)
    with changes() as changed, db.acting_as("customer"):
        assert call(db, world, name) == FUNCTIONS[name].answer
    assert changed == FUNCTIONS[name].changes(world, "customer")


READERS = (
    *("communication.get_unread_count", "communication.get_unread_counts"),
    *("communication.get_notifications_page", "communication.mark_notifications_read"),
)


@pytest.mark.parametrize("name", READERS)
def test_what_is_written_in_a_notification_does_not_decide(db: Session, world: World, name: str) -> None:
    words = words_of(db, name)
    for value in (*VALUES, *words, None, ""):
        metadata = Jsonb(dict.fromkeys(words, value))
        db.execute("UPDATE communication.notifications SET message = %s, metadata = %s", [str(value), metadata])
        with db.acting_as("customer"):
            assert outcome(db, world, name) == FUNCTIONS[name].answer, value
