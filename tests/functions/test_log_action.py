"""log_action: one entry in the audit log; its actor is the signed-in user."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from rolecall import Change, FindChanges, Session, World, inserted
from tests.functions.calls import NOT_ALLOWED, UNKNOWN, columns, set_claims

pytestmark = pytest.mark.rolecall_from_phase(2)

TABLE = "audit.audit_logs"
NO_ACTOR = "an audit entry needs an actor, and this session has no subject"

# The error of each persona. None: the persona writes an entry, and is its actor.
ERRORS: dict[str, str | None] = {
    "customer": None,
    "other_customer": None,
    "staff": None,
    "other_staff": None,
    "owner": None,
    "other_owner": None,
    "former_staff": None,
    "owner_on_staff": None,
    "staff_customer": None,
    "staff_of_both": None,
    "no_subject": NO_ACTOR,
    "anon": NOT_ALLOWED,
    "granted_anon": NOT_ALLOWED,
    "service": NO_ACTOR,  # its token has no subject
}

LOG = "SELECT audit.log_action(p_entity_type => %s, p_entity_id => %s, p_action => %s)"


def log(db: Session, kind: str | None = "salon", entity: str | None = None, action: str | None = "update") -> str:
    """Write an entry; returns its id."""
    return str(db.value(LOG, [kind, entity, action]))


def entry(db: Session, key: str, **columns: Any) -> Change:
    """The new entry with this id. ``columns`` are those that are not as in a call of :func:`log`."""
    usual = {"entity_type": "salon", "action": "update", "source_system": "application", "metadata": {}}
    return inserted(TABLE, **({"id": key, "created_at": db.value("SELECT now()")} | usual | columns))


def test_every_persona_is_listed(world: World) -> None:
    assert ERRORS.keys() == world.personas.keys()


@pytest.mark.parametrize("name", ERRORS)
def test_an_entry_as(db: Session, world: World, changes: FindChanges, name: str) -> None:
    error = ERRORS[name]
    with changes() as changed, db.acting_as(name, on=TABLE):
        if error:
            with db.raises("42501", message=error):
                log(db)
        else:
            key = log(db)
    assert changed == ([] if error else [entry(db, key, actor_id=world.personas[name].subject)])


def test_every_argument_is_stored(db: Session, world: World, changes: FindChanges, customer: str) -> None:
    salon = world.row("organization.salons", "salon")["id"]
    with changes() as changed, db.acting_as("customer"):
        key = db.value(
            """
            SELECT audit.log_action(
              p_entity_type => 'shop', p_entity_id => %s, p_action => 'rename',
              p_old_values => %s, p_new_values => %s, p_reason => 'a new sign')::text
            """,
            [salon, Jsonb({"name": "Old"}), Jsonb({"name": "New"})],
        )
    assert changed == [
        entry(
            db,
            key,
            entity_type="shop",
            entity_id=salon,
            action="rename",
            actor_id=customer,
            old_values={"name": "Old"},
            new_values={"name": "New"},
            reason="a new sign",
        )
    ]


def test_positional_arguments(db: Session, world: World, changes: FindChanges, customer: str) -> None:
    """Each argument is stored in its own column, also in a call without names."""
    salon = world.row("organization.salons", "salon")["id"]
    with changes() as changed, db.acting_as("customer"):
        key = db.value("SELECT audit.log_action('type', %s, 'action', '[1]', '[2]', 'reason')::text", [salon])
    texts = {"entity_type": "type", "action": "action", "reason": "reason"}
    assert changed == [
        entry(db, key, entity_id=salon, actor_id=customer, old_values=[1], new_values=[2], **texts),
    ]


def test_two_equal_calls_write_two_entries(db: Session, changes: FindChanges, customer: str) -> None:
    with changes() as changed, db.acting_as("customer"):
        keys = [log(db), log(db)]
    assert changed == [entry(db, key, actor_id=customer) for key in keys]


def test_the_entity_need_not_exist(db: Session, changes: FindChanges, customer: str) -> None:
    """A deleted entity gets entries too."""
    deleted = "ffffffff-ffff-ffff-ffff-ffffffffffff"
    with changes() as changed, db.acting_as("customer"):
        key = log(db, entity=deleted)
    assert changed == [entry(db, key, entity_id=deleted, actor_id=customer)]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({}, id="an empty object"),
        pytest.param([], id="an empty list"),
        pytest.param("text", id="a text"),
        pytest.param({"deep": [{"er": None}]}, id="nested"),
        pytest.param({"long": "x" * 1_000_000}, id="a million characters"),
    ],
)
def test_values_are_stored_unchanged(db: Session, changes: FindChanges, customer: str, value: Any) -> None:
    with changes() as changed, db.acting_as("customer"):
        key = db.value("SELECT audit.log_action('salon', NULL, 'update', %s, %s)::text", [Jsonb(value), Jsonb([value])])
    assert changed == [entry(db, key, actor_id=customer, old_values=value, new_values=[value])]


@pytest.mark.parametrize("length", [1, 100])
def test_texts_of_minimum_and_maximum_length(db: Session, changes: FindChanges, customer: str, length: int) -> None:
    with changes() as changed, db.acting_as("customer"):
        key = log(db, kind="t" * length, action="a" * length)
    assert changed == [entry(db, key, entity_type="t" * length, action="a" * length, actor_id=customer)]


# ------------------------------------------------------------------ the actor


def test_the_subject_of_the_service_is_the_actor(db: Session, changes: FindChanges, customer: str) -> None:
    with changes() as changed, db.acting_as("service"):
        set_claims(db, role="service_role", sub=customer)
        key = log(db)
    assert changed == [entry(db, key, actor_id=customer)]


def test_a_session_without_claims_is_refused(db: Session, changes: FindChanges) -> None:
    """Also the session of a superuser: the settings are empty between two requests."""
    with changes() as changed, db.raises("42501", message=NO_ACTOR):
        log(db)
    assert changed == []


def test_a_subject_without_a_profile_is_refused(db: Session) -> None:
    with db.acting_as("customer"):
        set_claims(db, role="authenticated", sub=UNKNOWN)
        with db.raises("23503", constraint="audit_logs_actor_id_fkey"):
            log(db)


# ------------------------------------------------------------------ errors of the table


@pytest.mark.parametrize("column", ["entity_type", "action"])
def test_a_missing_value_is_named(db: Session, changes: FindChanges, column: str) -> None:
    texts = {"entity_type": "salon", "action": "update"} | {column: None}
    with changes() as changed, db.acting_as("customer"), db.raises("23502", column=column):
        log(db, kind=texts["entity_type"], action=texts["action"])
    assert changed == []


@pytest.mark.parametrize("blank", ["", " ", "   "], ids=["empty text", "a space", "spaces"])
@pytest.mark.parametrize("column", ["entity_type", "action"])
def test_blank_text_is_refused(db: Session, changes: FindChanges, column: str, blank: str) -> None:
    texts = {"entity_type": "salon", "action": "update"} | {column: blank}
    with changes() as changed, db.acting_as("customer"), db.raises("23514", constraint="valid_action"):
        log(db, kind=texts["entity_type"], action=texts["action"])
    assert changed == []


@pytest.mark.parametrize("column", ["entity_type", "action"])
def test_a_text_that_is_too_long_is_refused(db: Session, column: str) -> None:
    """The function must not shorten a text: it could mean something else."""
    texts = {"entity_type": "salon", "action": "update"} | {column: "x" * 101}
    with db.acting_as("customer"), db.raises("22001", message="value too long for type character varying(100)"):
        log(db, kind=texts["entity_type"], action=texts["action"])


def test_a_read_only_transaction_is_refused(db: Session) -> None:
    with db.reading_as("customer"), db.raises("25006", message="cannot execute INSERT in a read-only transaction"):
        log(db)


def test_the_result_is_a_uuid(db: Session) -> None:
    with db.acting_as("customer"):
        cursor = db.execute("SELECT * FROM audit.log_action('salon', NULL, 'update')")
    assert columns(cursor) == [("log_action", "uuid")]
