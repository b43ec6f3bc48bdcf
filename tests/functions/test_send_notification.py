"""send_notification: one new notification for the recipient, and what it returns; what is missing is an error."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from rolecall import Session, World

PREFIX = "Failed to send notification: "

# Who may write to somebody else: everyone signed in may write to everyone.
MAY_SEND = {
    "customer": True,
    "other_customer": True,
    "staff": True,
    "other_staff": True,
    "owner": True,
    "other_owner": True,
    "former_staff": True,
    "owner_on_staff": True,
    "staff_customer": True,
    "no_subject": True,
    "anon": False,
    "granted_anon": False,
    "service": True,
}


def subject(world: World, name: str) -> str:
    return world.personas[name].subject


def send(db: Session, recipient: str | None, message: str | None = "Hello", kind: str | None = "greeting") -> Any:
    return db.value(
        """
        SELECT communication.send_notification(
          p_recipient_id => %s, p_message => %s, p_notification_type => %s)
        """,
        [recipient, message, kind],
    )


def id_of(sent: Any) -> Any:
    """The id in what the function returns, which has to be an object."""
    assert isinstance(sent, dict), sent
    return sent.get("id")


def ids(db: Session) -> set[str]:
    return {key for (key,) in db.rows("SELECT id::text FROM communication.notifications")}


def test_no_persona_is_left_out(world: World) -> None:
    assert MAY_SEND.keys() == world.personas.keys()


@pytest.mark.parametrize("name", MAY_SEND)
def test_to_another_as(db: Session, world: World, name: str) -> None:
    before, recipient = ids(db), subject(world, "staff" if name != "staff" else "customer")
    with db.acting_as(name, on="communication.notifications"):
        if MAY_SEND[name]:
            sent = send(db, recipient)
        else:
            with db.raises("42501", message="permission denied"):
                send(db, recipient)
    if MAY_SEND[name]:
        before |= {id_of(sent)}
    assert ids(db) == before


def test_to_oneself(db: Session, world: World) -> None:
    with db.acting_as("customer"):
        sent = send(db, subject(world, "customer"))
    stored = db.row("SELECT user_id::text, message FROM communication.notifications WHERE id = %s", [id_of(sent)])
    assert stored == (subject(world, "customer"), "Hello")


def test_what_is_returned_is_what_is_in_the_row(db: Session, world: World) -> None:
    with db.acting_as("customer"):
        sent = send(db, subject(world, "owner"), "Your salon has been approved", "salon_approval")
    key, created_at, is_now, updated_at = db.row(
        """
        SELECT id::text, to_json(created_at), created_at = now(), updated_at
        FROM communication.notifications WHERE message = 'Your salon has been approved'
        """
    )
    assert (is_now, updated_at) == (True, None)
    assert sent == {
        "id": key,
        "recipient_id": subject(world, "owner"),
        "message": "Your salon has been approved",
        "notification_type": "salon_approval",
        "read_at": None,
        "sent_at": created_at,
    }


def test_the_one_row_is_new_and_the_others_are_as_they_were(db: Session, world: World) -> None:
    everything = "SELECT id::text, to_jsonb(n) FROM communication.notifications n"
    before = dict(db.rows(everything))
    with db.acting_as("customer"):
        sent = send(db, subject(world, "owner"))
    after = dict(db.rows(everything))
    assert after.keys() - before.keys() == {id_of(sent)}
    assert after.pop(id_of(sent))["user_id"] == subject(world, "owner")
    assert after == before


def test_the_same_twice_is_two_notifications(db: Session, world: World) -> None:
    with db.acting_as("customer"):
        first, second = send(db, subject(world, "owner")), send(db, subject(world, "owner"))
    assert len({id_of(first), id_of(second)}) == 2
    assert len(ids(db) & {id_of(first), id_of(second)}) == 2


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        pytest.param(None, {}, id="NULL is none"),
        pytest.param({}, {}, id="none"),
        pytest.param({"salon": {"id": 1, "tags": ["a", None]}}, {"salon": {"id": 1, "tags": ["a", None]}}, id="nested"),
        pytest.param(["a", 1], ["a", 1], id="a list"),
        pytest.param("text", "text", id="a text"),
    ],
)
def test_metadata(db: Session, world: World, given: Any, stored: Any) -> None:
    metadata = None if given is None else Jsonb(given)
    with db.acting_as("customer"):
        sent = db.value(
            "SELECT communication.send_notification(%s, 'Hello', 'greeting', p_metadata => %s)",
            [subject(world, "owner"), metadata],
        )
    assert db.value("SELECT metadata FROM communication.notifications WHERE id = %s", [id_of(sent)]) == stored
    assert sent.keys() == {"id", "recipient_id", "message", "notification_type", "read_at", "sent_at"}


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("x", id="one character"),
        pytest.param(" ", id="a blank"),
        pytest.param("\n", id="an empty line"),
        pytest.param("Zażółć 🎉 50% 'off'; --", id="any characters"),
        pytest.param("long " * 100_000, id="half a million characters"),
    ],
)
def test_a_message_arrives_as_it_is(db: Session, world: World, message: str) -> None:
    with db.acting_as("customer"):
        sent = send(db, subject(world, "owner"), message)
    assert isinstance(sent, dict)
    assert sent.get("message") == message
    assert db.value("SELECT message FROM communication.notifications WHERE id = %s", [id_of(sent)]) == message


@pytest.mark.parametrize(
    ("recipient", "message", "kind", "missing"),
    [
        pytest.param(None, "Hello", "greeting", "recipient_id is required", id="no recipient"),
        pytest.param("owner", None, "greeting", "message is required", id="no message"),
        pytest.param("owner", "", "greeting", "message is required", id="an empty message"),
        pytest.param("owner", "Hello", None, "notification_type is required", id="no type"),
        pytest.param(None, None, None, "recipient_id is required", id="nothing: the recipient is asked for first"),
        pytest.param("owner", "", None, "message is required", id="only a recipient: the message is asked for next"),
    ],
)
@pytest.mark.parametrize("name", ["customer", "service"])
def test_what_is_missing_is_named(
    db: Session, world: World, name: str, recipient: str | None, message: str | None, kind: str | None, missing: str
) -> None:
    before = ids(db)
    with db.acting_as(name), db.raises("P0001", message=PREFIX + missing):
        send(db, recipient and subject(world, recipient), message, kind)
    assert ids(db) == before


# ------------------------------------------------------------------ errors that are passed on


def test_an_unknown_recipient(db: Session) -> None:
    # Whatever the baseline's own foreign key may be called and refer to.
    db.execute(
        "ALTER TABLE communication.notifications ADD FOREIGN KEY (user_id) REFERENCES identity.profiles (id) NOT VALID"
    )
    before = ids(db)
    refused = PREFIX + 'insert or update on table "notifications" violates foreign key constraint'
    with db.acting_as("customer"), db.raises("23503", message=refused):
        send(db, "00000000-0000-0000-0000-000000000000")
    assert ids(db) == before


def test_a_row_that_a_constraint_refuses(db: Session, world: World) -> None:
    db.execute(
        "ALTER TABLE communication.notifications ADD CONSTRAINT no_shouting CHECK (message <> 'HELLO') NOT VALID"
    )
    refused = PREFIX + 'new row for relation "notifications" violates check constraint "no_shouting"'
    with db.acting_as("customer"), db.raises("23514", message=refused):
        send(db, subject(world, "owner"), "HELLO")


def test_an_sqlstate_of_somebodys_own(db: Session, world: World) -> None:
    """PostgREST answers with the HTTP status that stands in PTxyz: it must come through."""
    db.execute(
        """
        CREATE FUNCTION pg_temp.refuse() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'too many for %', NEW.notification_type USING ERRCODE = 'PT429'; END $$;
        CREATE TRIGGER too_many BEFORE INSERT ON communication.notifications
          FOR EACH ROW EXECUTE FUNCTION pg_temp.refuse();
        """
    )
    with db.acting_as("customer"), db.raises("PT429", message=PREFIX + "too many for greeting"):
        send(db, subject(world, "owner"))


def test_a_transaction_that_only_reads(db: Session, world: World) -> None:
    refused = PREFIX + "cannot execute INSERT in a read-only transaction"
    with db.reading_as("customer"), db.raises("25006", message=refused):
        send(db, subject(world, "owner"))


def test_the_result_is_jsonb(db: Session, world: World) -> None:
    with db.acting_as("customer"):
        cursor = db.execute(
            "SELECT * FROM communication.send_notification(%s, 'Hello', 'greeting')", [subject(world, "owner")]
        )
    assert [(column.name, column.type_display) for column in cursor.description or ()] == [
        ("send_notification", "jsonb")
    ]
