"""mark_notifications_read: one's own unread notifications, all or those listed; the service anyone's."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall import Session, World

PREFIX = "Failed to mark notifications as read: "
NOT_ONES_OWN = PREFIX + "p_user_id must be your own id"
NOT_ALLOWED = "permission denied"
NOBODY = "00000000-0000-0000-0000-000000000000"
TABLE = "communication.notifications"

# What comes of marking the customer's: how many, or why it is refused.
MARKED_FOR_THE_CUSTOMER: dict[str, int | str] = {
    "customer": 2,
    "other_customer": NOT_ONES_OWN,
    "staff": NOT_ONES_OWN,
    "other_staff": NOT_ONES_OWN,
    "owner": NOT_ONES_OWN,
    "other_owner": NOT_ONES_OWN,
    "former_staff": NOT_ONES_OWN,
    "owner_on_staff": NOT_ONES_OWN,
    "staff_customer": NOT_ONES_OWN,
    "no_subject": NOT_ONES_OWN,
    "anon": NOT_ALLOWED,
    "granted_anon": NOT_ALLOWED,
    "service": 2,
}

# How many everybody with a profile marks of one's own.
MARKED_OF_ONES_OWN = {
    "customer": 2,
    "other_customer": 2,
    "staff": 2,
    "other_staff": 0,
    "owner": 2,
    "other_owner": 0,
    "former_staff": 0,
    "owner_on_staff": 0,
    "staff_customer": 0,
}


def subject(world: World, name: str) -> str:
    return world.personas[name].subject


def notification(world: World, name: str) -> str:
    return str(world.row(TABLE, name)["id"])


def mark(db: Session, user: str | None) -> Any:
    """All of a user's."""
    return db.value("SELECT communication.mark_notifications_read(p_user_id => %s)", [user])


def mark_listed(db: Session, user: str | None, listed: list[str | None] | None) -> Any:
    """Those listed."""
    return db.value(
        "SELECT communication.mark_notifications_read(p_user_id => %s, p_notification_ids => %s::uuid[])",
        [user, listed],
    )


def everything(db: Session) -> dict[str, dict[str, Any]]:
    """All notifications by id."""
    return dict(db.rows("SELECT id::text, to_jsonb(n) FROM communication.notifications n"))


def changed(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> dict[str, set[str]]:
    """The columns that differ, by id; no row may have come or gone."""
    assert before.keys() == after.keys()
    differing = {key: {name for name in row if row[name] != before[key][name]} for key, row in after.items()}
    return {key: columns for key, columns in differing.items() if columns}


def test_no_persona_is_left_out(world: World) -> None:
    assert MARKED_FOR_THE_CUSTOMER.keys() == world.personas.keys()
    assert MARKED_OF_ONES_OWN.keys() == {name for name, persona in world.personas.items() if "sub" in persona.claims}


@pytest.mark.parametrize("name", MARKED_FOR_THE_CUSTOMER)
def test_the_customers_as(db: Session, world: World, name: str) -> None:
    expected, before = MARKED_FOR_THE_CUSTOMER[name], everything(db)
    with db.acting_as(name, on=TABLE):
        if isinstance(expected, int):
            assert mark(db, subject(world, "customer")) == expected
        else:
            with db.raises("42501", message=expected):
                mark(db, subject(world, "customer"))
    theirs = {notification(world, f"customer's {which}") for which in ("reminder 0", "promotion 2")}
    assert changed(before, everything(db)).keys() == (theirs if isinstance(expected, int) else set())


@pytest.mark.parametrize("name", MARKED_OF_ONES_OWN)
def test_ones_own_as(db: Session, world: World, name: str) -> None:
    before = everything(db)
    with db.acting_as(name):
        assert mark(db, subject(world, name)) == MARKED_OF_ONES_OWN[name]
    rows = changed(before, everything(db))
    assert len(rows) == MARKED_OF_ONES_OWN[name]
    assert {before[key]["user_id"] for key in rows} <= {subject(world, name)}


def test_both_times_are_set_and_nothing_else(db: Session, world: World) -> None:
    before = everything(db)
    with db.acting_as("customer"):
        mark(db, subject(world, "customer"))
    now, after = db.value("SELECT to_json(now())"), everything(db)
    keys = [notification(world, "customer's reminder 0"), notification(world, "customer's promotion 2")]
    assert changed(before, after) == {key: {"read_at", "updated_at"} for key in keys}
    assert [(after[key]["read_at"], after[key]["updated_at"]) for key in keys] == [(now, now)] * 2


def test_what_is_read_keeps_the_time_at_which_it_was(db: Session, world: World) -> None:
    read = notification(world, "customer's reminder 1")
    before = everything(db)[read]
    with db.acting_as("customer"):
        assert mark_listed(db, subject(world, "customer"), [read]) == 0
        assert mark(db, subject(world, "customer")) == 2
        assert mark(db, subject(world, "customer")) == 0
    assert everything(db)[read] == before


@pytest.mark.parametrize(
    ("listed", "expected"),
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
        pytest.param(["staff's reminder 0", "customer's promotion 2"], ["promotion 2"], id="another's and one's own"),
        pytest.param([NOBODY], [], id="an unknown one"),
        pytest.param([NOBODY] * 10_000 + ["customer's reminder 0"], ["reminder 0"], id="ten thousand unknown and one"),
    ],
)
@pytest.mark.parametrize("name", ["customer", "service"])
def test_those_listed(
    db: Session, world: World, name: str, listed: list[str | None] | None, expected: list[str]
) -> None:
    known = world.rows[TABLE]
    keys = None if listed is None else [str(known[one]["id"]) if one in known else one for one in listed]
    before = everything(db)
    with db.acting_as(name):
        assert mark_listed(db, subject(world, "customer"), keys) == len(expected)
    assert changed(before, everything(db)) == {
        notification(world, f"customer's {which}"): {"read_at", "updated_at"} for which in expected
    }


@pytest.mark.parametrize("user", [pytest.param(NOBODY, id="an unknown id"), pytest.param(None, id="NULL")])
def test_nobody_has_nothing_to_mark(db: Session, user: str | None) -> None:
    before = everything(db)
    with db.acting_as("service"):
        assert mark(db, user) == 0
    assert everything(db) == before


@pytest.mark.parametrize("name", ["customer", "no_subject"])
@pytest.mark.parametrize("user", [pytest.param(NOBODY, id="an unknown id"), pytest.param(None, id="NULL")])
def test_nobody_is_not_oneself(db: Session, name: str, user: str | None) -> None:
    with db.acting_as(name), db.raises("42501", message=NOT_ONES_OWN):
        mark(db, user)


def test_anothers_is_refused_also_for_ones_own_notifications(db: Session, world: World) -> None:
    own: list[str | None] = [notification(world, "customer's reminder 0")]
    with db.acting_as("customer"), db.raises("42501", message=NOT_ONES_OWN):
        mark_listed(db, subject(world, "staff"), own)


def test_a_session_without_claims_is_nobody(db: Session, world: World) -> None:
    """Not even a superuser's: the settings are empty between two requests."""
    with db.raises("42501", message=NOT_ONES_OWN):
        mark(db, subject(world, "customer"))


# ------------------------------------------------------------------ errors that are passed on


def test_a_row_that_a_constraint_refuses(db: Session, world: World) -> None:
    db.execute("ALTER TABLE communication.notifications ADD CONSTRAINT unread CHECK (read_at IS NULL) NOT VALID")
    before = everything(db)
    refused = PREFIX + 'new row for relation "notifications" violates check constraint "unread"'
    with db.acting_as("customer"), db.raises("23514", message=refused):
        mark(db, subject(world, "customer"))
    assert everything(db) == before


def test_an_sqlstate_of_somebodys_own(db: Session, world: World) -> None:
    """PostgREST answers with the HTTP status that stands in PTxyz: it must come through."""
    db.execute(
        """
        CREATE FUNCTION pg_temp.refuse() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION '50%% of them are locked' USING ERRCODE = 'PT423'; END $$;
        CREATE TRIGGER locked BEFORE UPDATE ON communication.notifications
          FOR EACH ROW EXECUTE FUNCTION pg_temp.refuse();
        """
    )
    with db.acting_as("customer"), db.raises("PT423", message=PREFIX + "50% of them are locked"):
        mark(db, subject(world, "customer"))


def test_a_transaction_that_only_reads(db: Session, world: World) -> None:
    refused = PREFIX + "cannot execute UPDATE in a read-only transaction"
    with db.reading_as("customer"), db.raises("25006", message=refused):
        mark(db, subject(world, "customer"))


def test_the_result_is_an_integer(db: Session, world: World) -> None:
    with db.acting_as("customer"):
        cursor = db.execute("SELECT * FROM communication.mark_notifications_read(%s)", [subject(world, "customer")])
    assert [(column.name, column.type_display) for column in cursor.description or ()] == [
        ("mark_notifications_read", "int4")
    ]
