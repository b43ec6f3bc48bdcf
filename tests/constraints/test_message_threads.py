"""Checks, lengths and the unique index of communication.message_threads: accepted and refused rows."""

from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest

from rolecall import Session, World
from tests.constraints.rows import Columns, InsertValid

TABLE = "communication.message_threads"
NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def pair(required: Columns) -> tuple[str, str]:
    """The participants of a valid thread: two people who have no thread yet."""
    return required["created_by_id"], required["recipient_id"]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"last_message_at": NOON, "created_at": NOON}, id="a message with the thread"),
        pytest.param({"last_message_at": NOON, "created_at": None}, id="a message in a thread of unknown age"),
        pytest.param({"last_message_at": None, "created_at": NOON}, id="no message yet"),
        pytest.param({"unread_count": 0}, id="nothing unread"),
        pytest.param({"subject": "é" * 500}, id="a subject of 500 characters in 1000 bytes"),
    ],
)
def test_a_value_at_the_limit_is_accepted(insert_valid: InsertValid, changes: dict[str, object]) -> None:
    row = insert_valid(**changes)
    assert {column: row[column] for column in changes} == changes


@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        pytest.param(
            "valid_dates",
            {"last_message_at": NOON - timedelta(microseconds=1), "created_at": NOON},
            id="a message before the thread",
        ),
        pytest.param("valid_unread", {"unread_count": -1}, id="minus one unread"),
    ],
)
def test_a_value_beyond_the_limit_is_refused(
    db: Session, insert_valid: InsertValid, constraint: str, changes: dict[str, object]
) -> None:
    with db.raises("23514", constraint=constraint):
        insert_valid(**changes)


def test_a_thread_with_oneself_is_refused(db: Session, insert_valid: InsertValid, pair: tuple[str, str]) -> None:
    for person in pair:
        with db.raises("23514", constraint="valid_participants"):
            insert_valid(created_by_id=person, recipient_id=person)


def test_a_subject_of_501_characters_is_too_long(db: Session, insert_valid: InsertValid) -> None:
    with db.raises("22001", message="character varying(500)"):
        insert_valid(subject="é" * 501)


@pytest.mark.parametrize("first", [0, 1], ids=["begun by the one", "begun by the other"])
@pytest.mark.parametrize("second", [0, 1], ids=["again by the one", "again by the other"])
def test_two_people_have_one_active_thread(
    db: Session, insert_valid: InsertValid, pair: tuple[str, str], first: int, second: int
) -> None:
    insert_valid(created_by_id=pair[first], recipient_id=pair[1 - first])
    with db.raises("23505", constraint="idx_message_threads_unique_active"):
        insert_valid(created_by_id=pair[second], recipient_id=pair[1 - second])


@pytest.mark.parametrize("state", [True, None], ids=["deleted", "neither deleted nor not"])
def test_threads_that_are_not_active_may_repeat(insert_valid: InsertValid, state: bool | None) -> None:
    states = [insert_valid(is_deleted=each)["is_deleted"] for each in (state, state, False)]
    assert states == [state, state, False]


def test_a_deleted_thread_does_not_come_back_beside_an_active_one(db: Session, insert_valid: InsertValid) -> None:
    deleted, _ = insert_valid(is_deleted=True), insert_valid()
    with db.raises("23505", constraint="idx_message_threads_unique_active"):
        db.execute("UPDATE communication.message_threads SET is_deleted = false WHERE id = %s", [deleted["id"]])


def test_three_people_have_three_threads(insert_valid: InsertValid, pair: tuple[str, str], world: World) -> None:
    people = [*pair, world.row("identity.profiles", "owner_on_staff")["id"]]
    threads = [insert_valid(created_by_id=one, recipient_id=other)["id"] for one, other in combinations(people, 2)]
    assert len(threads) == 3
