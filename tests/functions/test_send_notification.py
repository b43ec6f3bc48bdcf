"""send_notification: one new notification for the recipient, and the result; a missing value is an error."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from rolecall import Change, FindChanges, Session, World, inserted
from tests.functions.calls import MAY_CALL, UNKNOWN, columns

pytestmark = pytest.mark.rolecall_from_phase(2)

TABLE = "communication.notifications"
PREFIX = "Failed to send notification: "


@pytest.fixture
def owner(world: World) -> str:
    """The owner's id."""
    return world.personas["owner"].subject


def send(db: Session, recipient: str | None, message: str | None = "Hello", kind: str | None = "greeting") -> Any:
    return db.value(
        """
        SELECT communication.send_notification(
          p_recipient_id => %s, p_message => %s, p_notification_type => %s)
        """,
        [recipient, message, kind],
    )


def id_of(result: Any) -> Any:
    """The id in the result of the function, which must be a JSON object."""
    assert isinstance(result, dict), result
    return result.get("id")


def sent(db: Session, result: Any, recipient: str, **columns: Any) -> Change:
    """The new row of a call with this result. ``columns`` are those that are not as in a call of :func:`send`."""
    usual = {"message": "Hello", "notification_type": "greeting", "metadata": {}}
    row = {"id": id_of(result), "user_id": recipient, "created_at": db.value("SELECT now()"), **usual}
    return inserted(TABLE, **(row | columns))


@pytest.mark.parametrize("name", MAY_CALL)
def test_to_another_as(db: Session, world: World, changes: FindChanges, name: str) -> None:
    recipient = world.personas["staff" if name != "staff" else "customer"].subject
    with changes() as changed, db.acting_as(name, on="communication.notifications"):
        if MAY_CALL[name]:
            result = send(db, recipient)
        else:
            with db.raises("42501", message="permission denied"):
                send(db, recipient)
    assert changed == ([sent(db, result, recipient)] if MAY_CALL[name] else [])


def test_to_oneself(db: Session, changes: FindChanges, customer: str) -> None:
    with changes() as changed, db.acting_as("customer"):
        result = send(db, customer)
    assert changed == [sent(db, result, customer)]


def test_the_result_describes_the_stored_row(db: Session, owner: str) -> None:
    with db.acting_as("customer"):
        result = send(db, owner, "Your salon has been approved", "salon_approval")
    key, created_at, is_now, updated_at = db.row(
        """
        SELECT id::text, to_json(created_at), created_at = now(), updated_at
        FROM communication.notifications WHERE message = 'Your salon has been approved'
        """
    )
    assert (is_now, updated_at) == (True, None)
    assert result == {
        "id": key,
        "recipient_id": owner,
        "message": "Your salon has been approved",
        "notification_type": "salon_approval",
        "read_at": None,
        "sent_at": created_at,
    }


def test_two_equal_calls_send_two_notifications(db: Session, changes: FindChanges, owner: str) -> None:
    with changes() as changed, db.acting_as("customer"):
        first, second = send(db, owner), send(db, owner)
    assert id_of(first) != id_of(second)
    assert changed == [sent(db, result, owner) for result in (first, second)]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        pytest.param(None, {}, id="NULL is none"),
        pytest.param({}, {}, id="none"),
        pytest.param({"salon": {"id": 1, "tags": ["a", None]}}, {"salon": {"id": 1, "tags": ["a", None]}}, id="nested"),
        pytest.param(["a", 1], ["a", 1], id="a list"),
        pytest.param("text", "text", id="a text"),
    ],
)
def test_metadata(db: Session, changes: FindChanges, owner: str, metadata: Any, expected: Any) -> None:
    with changes() as changed, db.acting_as("customer"):
        result = db.value(
            "SELECT communication.send_notification(%s, 'Hello', 'greeting', p_metadata => %s)",
            [owner, None if metadata is None else Jsonb(metadata)],
        )
    assert changed == [sent(db, result, owner, metadata=expected)]
    assert result.keys() == {"id", "recipient_id", "message", "notification_type", "read_at", "sent_at"}


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("x", id="one character"),
        pytest.param(" ", id="a space"),
        pytest.param("\n", id="an empty line"),
        pytest.param("Zażółć 🎉 50% 'off'; --", id="any characters"),
        pytest.param("long " * 100_000, id="half a million characters"),
    ],
)
def test_a_message_is_stored_unchanged(db: Session, changes: FindChanges, owner: str, message: str) -> None:
    with changes() as changed, db.acting_as("customer"):
        result = send(db, owner, message)
    assert isinstance(result, dict)
    assert result.get("message") == message
    assert changed == [sent(db, result, owner, message=message)]


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
def test_a_missing_value_is_named(
    db: Session,
    world: World,
    changes: FindChanges,
    name: str,
    recipient: str | None,
    message: str | None,
    kind: str | None,
    missing: str,
) -> None:
    with changes() as changed, db.acting_as(name), db.raises("P0001", message=PREFIX + missing):
        send(db, recipient and world.personas[recipient].subject, message, kind)
    assert changed == []


# ------------------------------------------------------------------ errors that the function passes on


def test_an_unknown_recipient(db: Session, changes: FindChanges) -> None:
    # The foreign key of the baseline may have another name, and refer to another table.
    db.execute(
        "ALTER TABLE communication.notifications ADD FOREIGN KEY (user_id) REFERENCES identity.profiles (id) NOT VALID"
    )
    error = PREFIX + 'insert or update on table "notifications" violates foreign key constraint'
    with changes() as changed, db.acting_as("customer"), db.raises("23503", message=error):
        send(db, UNKNOWN)
    assert changed == []


def test_a_constraint_violation_is_passed_on(db: Session, owner: str) -> None:
    db.execute(
        "ALTER TABLE communication.notifications ADD CONSTRAINT no_shouting CHECK (message <> 'HELLO') NOT VALID"
    )
    error = PREFIX + 'new row for relation "notifications" violates check constraint "no_shouting"'
    with db.acting_as("customer"), db.raises("23514", message=error):
        send(db, owner, "HELLO")


def test_a_custom_sqlstate_is_passed_on(db: Session, owner: str) -> None:
    """PostgREST answers PTxyz with the HTTP status xyz: the function must not change the SQLSTATE."""
    db.execute(
        """
        CREATE FUNCTION pg_temp.refuse() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'too many for %', NEW.notification_type USING ERRCODE = 'PT429'; END $$;
        CREATE TRIGGER too_many BEFORE INSERT ON communication.notifications
          FOR EACH ROW EXECUTE FUNCTION pg_temp.refuse();
        """
    )
    with db.acting_as("customer"), db.raises("PT429", message=PREFIX + "too many for greeting"):
        send(db, owner)


def test_a_read_only_transaction_is_refused(db: Session, owner: str) -> None:
    error = PREFIX + "cannot execute INSERT in a read-only transaction"
    with db.reading_as("customer"), db.raises("25006", message=error):
        send(db, owner)


def test_the_result_is_jsonb(db: Session, owner: str) -> None:
    with db.acting_as("customer"):
        cursor = db.execute("SELECT * FROM communication.send_notification(%s, 'Hello', 'greeting')", [owner])
    assert columns(cursor) == [("send_notification", "jsonb")]
