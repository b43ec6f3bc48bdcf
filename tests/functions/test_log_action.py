"""log_action: one entry in the audit log; its actor is the signed-in user."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from rolecall import Session, World
from tests.functions.calls import NOT_ALLOWED, UNKNOWN, columns, rows_by_id, set_claims

pytestmark = pytest.mark.rolecall_from_phase(2)

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


def entries(db: Session) -> dict[str, dict[str, Any]]:
    """All entries of the log, by id."""
    return rows_by_id(db, "audit.audit_logs")


def entry_of(db: Session, key: str) -> dict[str, Any]:
    """The entry with this id. Raises AssertionError if there is none."""
    log = entries(db)
    assert key in log
    return log[key]


def test_every_persona_is_listed(world: World) -> None:
    assert ERRORS.keys() == world.personas.keys()


@pytest.mark.parametrize("name", ERRORS)
def test_an_entry_as(db: Session, world: World, name: str) -> None:
    error, before = ERRORS[name], entries(db)
    with db.acting_as(name, on="audit.audit_logs"):
        if error:
            with db.raises("42501", message=error):
                log(db)
        else:
            key = log(db)
    after = entries(db)
    if not error:
        assert after.keys() - before.keys() == {key}
        assert after.pop(key)["actor_id"] == world.personas[name].subject
    assert after == before


def test_every_column_of_an_entry(db: Session, world: World) -> None:
    salon = str(world.row("organization.salons", "salon")["id"])
    with db.acting_as("owner"):
        key = db.value(
            """
            SELECT audit.log_action(
              p_entity_type => 'salon', p_entity_id => %s, p_action => 'rename',
              p_old_values => %s, p_new_values => %s, p_reason => 'a new sign')::text
            """,
            [salon, Jsonb({"name": "Old"}), Jsonb({"name": "New"})],
        )
    assert entry_of(db, key) == {
        "id": key,
        "entity_type": "salon",
        "entity_id": salon,
        "action": "rename",
        "actor_id": world.personas["owner"].subject,
        "created_at": db.value("SELECT to_json(now())"),
        "old_values": {"name": "Old"},
        "new_values": {"name": "New"},
        "change_summary": None,
        "reason": "a new sign",
        "source_system": "application",
        "ip_address": None,
        "user_agent": None,
        "metadata": {},
    }


def test_omitted_arguments_are_null(db: Session) -> None:
    with db.acting_as("customer"):
        key = log(db, entity=None)
    entry = entry_of(db, key)
    assert [entry[name] for name in ("entity_id", "old_values", "new_values", "reason")] == [None] * 4


def test_positional_arguments(db: Session, world: World) -> None:
    """Each argument is stored in its own column, also in a call without names."""
    salon = str(world.row("organization.salons", "salon")["id"])
    with db.acting_as("owner"):
        key = db.value("SELECT audit.log_action('type', %s, 'action', '[1]', '[2]', 'reason')::text", [salon])
    entry = entry_of(db, key)
    names = ("entity_type", "entity_id", "action", "old_values", "new_values", "reason")
    assert [entry[name] for name in names] == ["type", salon, "action", [1], [2], "reason"]


def test_two_equal_calls_write_two_entries(db: Session) -> None:
    with db.acting_as("customer"):
        keys = {log(db), log(db)}
    assert len(keys) == 2
    assert keys <= entries(db).keys()


def test_the_entity_need_not_exist(db: Session) -> None:
    """A deleted entity gets entries too."""
    deleted = "ffffffff-ffff-ffff-ffff-ffffffffffff"
    with db.acting_as("customer"):
        key = log(db, entity=deleted)
    assert entry_of(db, key)["entity_id"] == deleted


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
def test_values_are_stored_unchanged(db: Session, value: Any) -> None:
    with db.acting_as("customer"):
        key = db.value("SELECT audit.log_action('salon', NULL, 'update', %s, %s)::text", [Jsonb(value), Jsonb([value])])
    entry = entry_of(db, key)
    assert (entry["old_values"], entry["new_values"]) == (value, [value])


@pytest.mark.parametrize("length", [1, 100])
def test_texts_of_minimum_and_maximum_length(db: Session, length: int) -> None:
    with db.acting_as("customer"):
        key = log(db, kind="t" * length, action="a" * length)
    entry = entry_of(db, key)
    assert (entry["entity_type"], entry["action"]) == ("t" * length, "a" * length)


# ------------------------------------------------------------------ the actor


def test_the_subject_of_the_service_is_the_actor(db: Session, world: World) -> None:
    with db.acting_as("service"):
        set_claims(db, role="service_role", sub=world.personas["owner"].subject)
        key = log(db)
    assert entry_of(db, key)["actor_id"] == world.personas["owner"].subject


def test_a_session_without_claims_is_refused(db: Session) -> None:
    """Also the session of a superuser: the settings are empty between two requests."""
    before = entries(db)
    with db.raises("42501", message=NO_ACTOR):
        log(db)
    assert entries(db) == before


def test_a_subject_without_a_profile_is_refused(db: Session) -> None:
    with db.acting_as("customer"):
        set_claims(db, role="authenticated", sub=UNKNOWN)
        with db.raises("23503", constraint="audit_logs_actor_id_fkey"):
            log(db)


# ------------------------------------------------------------------ errors of the table


@pytest.mark.parametrize("column", ["entity_type", "action"])
def test_a_missing_value_is_named(db: Session, column: str) -> None:
    texts = {"entity_type": "salon", "action": "update"} | {column: None}
    before = entries(db)
    with db.acting_as("customer"), db.raises("23502", column=column):
        log(db, kind=texts["entity_type"], action=texts["action"])
    assert entries(db) == before


@pytest.mark.parametrize("blank", ["", " ", "   "], ids=["empty text", "a space", "spaces"])
@pytest.mark.parametrize("column", ["entity_type", "action"])
def test_blank_text_is_refused(db: Session, column: str, blank: str) -> None:
    texts = {"entity_type": "salon", "action": "update"} | {column: blank}
    before = entries(db)
    with db.acting_as("customer"), db.raises("23514", constraint="valid_action"):
        log(db, kind=texts["entity_type"], action=texts["action"])
    assert entries(db) == before


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
