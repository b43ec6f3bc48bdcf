"""mark_notifications_read: sets the time of reading of a user's unread notifications, all or the listed ones; for that
user and for the service."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall import Change, FindChanges, Session, World, updated
from tests.functions.calls import (
    NOT_YOUR_ID,
    UNKNOWN,
    about_oneself,
    about_the_customer,
    columns,
    unknown_or_null,
)

pytestmark = pytest.mark.rolecall_from_phase(2)

PREFIX = "Failed to mark notifications as read: "
NOT_YOUR_OWN = PREFIX + NOT_YOUR_ID
TABLE = "communication.notifications"

# The expected number of marked notifications.
MARKED_FOR_THE_CUSTOMER = about_the_customer(2, refusal=NOT_YOUR_OWN)
MARKED_OWN = about_oneself(some=2, none=0)


def notification(world: World, name: str) -> str:
    return str(world.row(TABLE, name)["id"])


def mark(db: Session, user: str | None) -> Any:
    """Mark all of a user's notifications."""
    return db.value("SELECT communication.mark_notifications_read(p_user_id => %s)", [user])


def mark_listed(db: Session, user: str | None, ids: list[str | None] | None) -> Any:
    """Mark the listed notifications of a user."""
    return db.value(
        "SELECT communication.mark_notifications_read(p_user_id => %s, p_notification_ids => %s::uuid[])",
        [user, ids],
    )


def marked(db: Session, world: World, *names: str) -> list[Change]:
    """The change of each of these notifications: both times are now."""
    now = db.value("SELECT now()")
    return [updated(TABLE, notification(world, name), read_at=now, updated_at=now) for name in names]


def all_of(person: str) -> list[str]:
    """The names of a person's unread notifications."""
    return [f"{person}'s reminder 0", f"{person}'s promotion 2"]


@pytest.mark.parametrize("name", MARKED_FOR_THE_CUSTOMER)
def test_the_customers_notifications_as(
    db: Session, world: World, changes: FindChanges, customer: str, name: str
) -> None:
    expected = MARKED_FOR_THE_CUSTOMER[name]
    with changes() as changed, db.acting_as(name, on=TABLE):
        if isinstance(expected, int):
            assert mark(db, customer) == expected
        else:
            with db.raises("42501", message=expected):
                mark(db, customer)
    assert changed == marked(db, world, *(all_of("customer") if isinstance(expected, int) else []))


@pytest.mark.parametrize("name", MARKED_OWN)
def test_own_notifications_as(db: Session, world: World, changes: FindChanges, name: str) -> None:
    with changes() as changed, db.acting_as(name):
        assert mark(db, world.personas[name].subject) == MARKED_OWN[name]
    assert changed == marked(db, world, *(all_of(name) if MARKED_OWN[name] else []))


def test_a_read_notification_keeps_its_time(db: Session, world: World, changes: FindChanges, customer: str) -> None:
    with changes() as changed, db.acting_as("customer"):
        assert mark_listed(db, customer, [notification(world, "customer's reminder 1")]) == 0
        assert mark(db, customer) == 2
        assert mark(db, customer) == 0
    assert changed == marked(db, world, *all_of("customer"))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(None, ["reminder 0", "promotion 2"], id="NULL: all of them"),
        pytest.param([], [], id="none"),
        pytest.param([None], [], id="only NULL"),
        pytest.param(["customer's reminder 0"], ["reminder 0"], id="one"),
        pytest.param(["customer's reminder 0", None], ["reminder 0"], id="one and NULL"),
        pytest.param(["customer's reminder 0"] * 2, ["reminder 0"], id="one twice"),
        pytest.param(["customer's reminder 0", "customer's promotion 2"], ["reminder 0", "promotion 2"], id="both"),
        pytest.param(["customer's reminder 1"], [], id="one that is read"),
        pytest.param(["staff's reminder 0"], [], id="another's"),
        pytest.param(["staff's reminder 0", "customer's promotion 2"], ["promotion 2"], id="another's and an own one"),
        pytest.param([UNKNOWN], [], id="an unknown one"),
        pytest.param([UNKNOWN] * 10_000 + ["customer's reminder 0"], ["reminder 0"], id="ten thousand unknown and one"),
    ],
)
@pytest.mark.parametrize("name", ["customer", "service"])
def test_listed_notifications(
    db: Session,
    world: World,
    changes: FindChanges,
    customer: str,
    name: str,
    names: list[str | None] | None,
    expected: list[str],
) -> None:
    existing = world.rows[TABLE]
    keys = None if names is None else [str(existing[one]["id"]) if one in existing else one for one in names]
    with changes() as changed, db.acting_as(name):
        assert mark_listed(db, customer, keys) == len(expected)
    assert changed == marked(db, world, *(f"customer's {which}" for which in expected))


@unknown_or_null
def test_an_unknown_user_has_nothing_to_mark(db: Session, changes: FindChanges, user: str | None) -> None:
    with changes() as changed, db.acting_as("service"):
        assert mark(db, user) == 0
    assert changed == []


@pytest.mark.parametrize("name", ["customer", "no_subject"])
@unknown_or_null
def test_an_unknown_user_is_refused(db: Session, name: str, user: str | None) -> None:
    with db.acting_as(name), db.raises("42501", message=NOT_YOUR_OWN):
        mark(db, user)


def test_another_user_is_refused_even_with_own_notifications(db: Session, world: World) -> None:
    own: list[str | None] = [notification(world, "customer's reminder 0")]
    with db.acting_as("customer"), db.raises("42501", message=NOT_YOUR_OWN):
        mark_listed(db, world.personas["staff"].subject, own)


def test_a_session_without_claims_is_refused(db: Session, customer: str) -> None:
    """Also the session of a superuser: the settings are empty between two requests."""
    with db.raises("42501", message=NOT_YOUR_OWN):
        mark(db, customer)


# ------------------------------------------------------------------ errors that the function passes on


def test_a_constraint_violation_is_passed_on(db: Session, changes: FindChanges, customer: str) -> None:
    db.execute("ALTER TABLE communication.notifications ADD CONSTRAINT unread CHECK (read_at IS NULL) NOT VALID")
    message = PREFIX + 'new row for relation "notifications" violates check constraint "unread"'
    with changes() as changed, db.acting_as("customer"), db.raises("23514", message=message):
        mark(db, customer)
    assert changed == []


def test_a_custom_sqlstate_is_passed_on(db: Session, customer: str) -> None:
    """PostgREST answers PTxyz with the HTTP status xyz: the function must not change the SQLSTATE."""
    db.execute(
        """
        CREATE FUNCTION pg_temp.refuse() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION '50%% of them are locked' USING ERRCODE = 'PT423'; END $$;
        CREATE TRIGGER locked BEFORE UPDATE ON communication.notifications
          FOR EACH ROW EXECUTE FUNCTION pg_temp.refuse();
        """
    )
    with db.acting_as("customer"), db.raises("PT423", message=PREFIX + "50% of them are locked"):
        mark(db, customer)


def test_a_read_only_transaction_is_refused(db: Session, customer: str) -> None:
    message = PREFIX + "cannot execute UPDATE in a read-only transaction"
    with db.reading_as("customer"), db.raises("25006", message=message):
        mark(db, customer)


def test_the_result_is_an_integer(db: Session, customer: str) -> None:
    with db.acting_as("customer"):
        cursor = db.execute("SELECT * FROM communication.mark_notifications_read(%s)", [customer])
    assert columns(cursor) == [("mark_notifications_read", "int4")]
