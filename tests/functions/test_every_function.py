"""All eight functions: declaration, EXECUTE privileges, everything that they change, and safe name lookup."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg import ClientCursor

from rolecall import Change, FindChanges, Session, World, inserted, set_to, updated
from rolecall.catalog.manifest import Manifest
from tests.functions.calls import HAS_NOTIFICATIONS, MAY_CALL, set_claims
from tests.functions.planted import plant


def nothing(_: World, __: str) -> list[Change]:
    """A function that only reads."""
    return []


def a_notification(world: World, _: str) -> list[Change]:
    return [
        inserted(
            "communication.notifications",
            id=object,
            user_id=world.personas["customer"].subject,
            message="Hello",
            notification_type="greeting",
            metadata={},
            created_at=datetime,
        )
    ]


def two_times(world: World, _: str) -> list[Change]:
    """The customer's two unread notifications have been read."""
    table = "communication.notifications"
    keys = [world.row(table, f"customer's {which}")["id"] for which in ("reminder 0", "promotion 2")]
    return [updated(table, key, read_at=datetime, updated_at=datetime) for key in keys]


def an_entry(world: World, persona: str) -> list[Change]:
    return [
        inserted(
            "audit.audit_logs",
            id=object,
            entity_type="salon",
            entity_id=world.row("organization.salons", "salon")["id"],
            action="update",
            actor_id=world.personas[persona].subject,
            created_at=datetime,
            source_system="application",
            metadata={},
        )
    ]


class Function(NamedTuple):
    """The declaration of a function, and a call by the customer that returns one value."""

    arguments: str
    result: str
    volatility: str
    call: str
    answer: Any
    changes: Callable[[World, str], list[Change]] = nothing  # all changes of the call by a persona


FUNCTIONS = {
    "communication.send_notification": Function(
        "p_recipient_id uuid, p_message text, p_notification_type character varying, "
        "p_metadata jsonb DEFAULT NULL::jsonb",
        "jsonb",
        "volatile",
        "SELECT communication.send_notification(%(customer)s, 'Hello', 'greeting') ->> 'message'",
        "Hello",
        a_notification,
    ),
    "communication.mark_notifications_read": Function(
        "p_user_id uuid, p_notification_ids uuid[] DEFAULT NULL::uuid[]",
        "integer",
        "volatile",
        "SELECT communication.mark_notifications_read(%(customer)s)",
        2,
        two_times,
    ),
    "communication.get_unread_count": Function(
        "p_user_id uuid",
        "bigint",
        "stable",
        "SELECT communication.get_unread_count(%(customer)s)",
        2,
    ),
    "communication.get_unread_counts": Function(
        "p_user_id uuid",
        "TABLE(notification_type character varying, unread_count bigint)",
        "stable",
        "SELECT array_agg(notification_type) FROM communication.get_unread_counts(%(customer)s)",
        ["promotion", "reminder"],
    ),
    "communication.get_notifications_page": Function(
        "p_user_id uuid, p_limit integer DEFAULT 20, p_offset integer DEFAULT 0",
        "TABLE(id uuid, user_id uuid, message text, notification_type character varying, "
        "read_at timestamp with time zone, created_at timestamp with time zone)",
        "stable",
        "SELECT count(*) FROM communication.get_notifications_page(%(customer)s)",
        3,
    ),
    "scheduling.calculate_business_hours": Function(
        "p_salon_id uuid, p_date date",
        "TABLE(day_name character varying, is_open boolean, start_time time without time zone, "
        "end_time time without time zone, break_start time without time zone, "
        "break_end time without time zone, total_working_minutes integer)",
        "stable",
        "SELECT total_working_minutes FROM scheduling.calculate_business_hours(%(salon)s, '2025-01-06')",
        480,
    ),
    "catalog.calculate_duration_minutes": Function(
        "p_service_ids uuid[]",
        "integer",
        "stable",
        "SELECT catalog.calculate_duration_minutes(ARRAY[%(service)s]::pg_catalog.uuid[])",
        45,
    ),
    "audit.log_action": Function(
        "p_entity_type character varying, p_entity_id uuid, p_action character varying, "
        "p_old_values jsonb DEFAULT NULL::jsonb, p_new_values jsonb DEFAULT NULL::jsonb, "
        "p_reason text DEFAULT NULL::text",
        "uuid",
        "volatile",
        "SELECT pg_typeof(audit.log_action('salon', %(salon)s, 'update'))::text",
        "uuid",
        an_entry,
    ),
}
STABLE = [name for name, function in FUNCTIONS.items() if function.volatility == "stable"]
VOLATILE = [name for name, function in FUNCTIONS.items() if function.volatility == "volatile"]

every_function = pytest.mark.parametrize("name", FUNCTIONS)


def call(db: Session, world: World, name: str) -> Any:
    """Run the function's call as the signed-in persona; returns its value."""
    return db.value(FUNCTIONS[name].call, arguments(world))


def arguments(world: World) -> dict[str, Any]:
    """The arguments of all calls."""
    return {
        "customer": world.personas["customer"].subject,
        "salon": world.row("organization.salons", "salon")["id"],
        "service": world.row("catalog.services", "salon's haircut")["id"],
    }


def compile_again(db: Session, name: str) -> None:
    """Let PL/pgSQL compile the function again, as in a new session."""
    signature = db.value("SELECT %s::regproc::regprocedure::text", [name])
    db.execute(f"ALTER FUNCTION {signature} COST 100")


def text_of(db: Session, world: World, name: str) -> str:
    """The function's call with its arguments, as PREPARE takes it."""
    return ClientCursor(db.connection).mogrify(FUNCTIONS[name].call, arguments(world))


def attribute(db: Session, name: str, expression: str) -> Any:
    """The value of an SQL expression about the function's row in pg_proc. Raises an error unless one has the name."""
    return db.value(f"SELECT {expression} FROM pg_proc p WHERE p.oid = %s::regproc", [name])


def test_every_persona_is_listed(world: World) -> None:
    assert MAY_CALL.keys() == world.personas.keys()
    assert HAS_NOTIFICATIONS.keys() == {name for name, persona in world.personas.items() if "sub" in persona.claims}


# ------------------------------------------------------------------ declaration


@pytest.mark.rolecall_pin
def test_the_functions_are_those_of_the_plan(manifest: Manifest) -> None:
    assert sorted(item.full_name for item in manifest.of_kind("function")) == sorted(FUNCTIONS)


@pytest.mark.rolecall_pin
@every_function
def test_arguments(db: Session, name: str) -> None:
    assert attribute(db, name, "pg_get_function_arguments(p.oid)") == FUNCTIONS[name].arguments


@pytest.mark.rolecall_pin
@every_function
def test_result(db: Session, name: str) -> None:
    assert attribute(db, name, "pg_get_function_result(p.oid)") == FUNCTIONS[name].result


@pytest.mark.rolecall_pin
@every_function
def test_volatility(db: Session, name: str) -> None:
    volatility = "CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END"
    assert attribute(db, name, volatility) == FUNCTIONS[name].volatility


@pytest.mark.rolecall_pin
@every_function
def test_is_security_definer_with_a_safe_search_path(db: Session, name: str) -> None:
    assert attribute(db, name, "p.prosecdef") is True
    assert attribute(db, name, "p.proconfig") == ["search_path=pg_catalog, pg_temp"]


@pytest.mark.rolecall_pin
@every_function
def test_is_owned_by_the_migration_role(db: Session, manifest: Manifest, name: str) -> None:
    """A function of a superuser would bypass every policy."""
    owner, is_superuser = db.row(
        "SELECT r.rolname, r.rolsuper FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner WHERE p.oid = %s::regproc",
        [name],
    )
    assert (owner, is_superuser) == (manifest.role, False)


@pytest.mark.rolecall_pin
@every_function
def test_runs_in_no_parallel_worker_by_declaration(db: Session, name: str) -> None:
    assert attribute(db, name, "p.proparallel") == "u"


@pytest.mark.rolecall_pin
@every_function
def test_is_not_strict(db: Session, name: str) -> None:
    assert attribute(db, name, "p.proisstrict") is False


# ------------------------------------------------------------------ EXECUTE privileges


@pytest.mark.rolecall_pin
@every_function
def test_execute_is_granted_to_two_roles(db: Session, name: str) -> None:
    grants = db.rows(
        """
        SELECT COALESCE(r.rolname, 'PUBLIC'), acl.privilege_type, acl.is_grantable
        FROM pg_proc p
        CROSS JOIN aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) AS acl
        LEFT JOIN pg_roles r ON r.oid = acl.grantee
        WHERE p.oid = %s::regproc AND (acl.grantee = 0 OR r.rolname IN ('anon', 'authenticated', 'service_role'))
        ORDER BY 1
        """,
        [name],
    )
    assert grants == [("authenticated", "EXECUTE", False), ("service_role", "EXECUTE", False)]


@every_function
@pytest.mark.parametrize(
    ("role", "may"), [("authenticated", True), ("service_role", True), ("anon", False), ("public", False)]
)
def test_effective_execute_privileges(db: Session, name: str, role: str, may: bool) -> None:
    """Privileges of every source, also those of a role of which this role is a member."""
    assert attribute(db, name, f"has_function_privilege('{role}', p.oid, 'EXECUTE')") is may


@every_function
@pytest.mark.parametrize("role", ["authenticated", "service_role"])
def test_runs_for(db: Session, world: World, customer: str, name: str, role: str) -> None:
    with db.acting_as("service" if role == "service_role" else "customer"):
        assert db.value("SELECT current_user::text") == role
        set_claims(db, sub=customer, role=role)
        assert call(db, world, name) == FUNCTIONS[name].answer


@every_function
@pytest.mark.parametrize("role", ["anon", "authenticator"])
def test_refuses(db: Session, world: World, name: str, role: str) -> None:
    """Anon, and a role with the privileges of PUBLIC alone, are refused also with USAGE on the schema."""
    schema, function = name.split(".")
    db.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
    with db.raises("42501", message=f"permission denied for function {function}"):
        db.execute(f"SET LOCAL ROLE {role}")
        call(db, world, name)


def test_no_client_may_call_a_trigger_function(db: Session, manifest: Manifest) -> None:
    """They need no grant: PostgreSQL checks none when a trigger fires."""
    functions = sorted(item.full_name for item in manifest.of_kind("trigger function"))
    assert "communication.soft_delete_thread" in functions
    may = db.rows(
        """
        SELECT f.name, r.name
        FROM unnest(%s::text[]) AS f (name), unnest(%s::text[]) AS r (name)
        WHERE has_function_privilege(r.name, f.name || '()', 'EXECUTE')
        """,
        [functions, ["public", "anon", "authenticated", "service_role"]],
    )
    assert may == []


# ------------------------------------------------------------------ what it changes


@every_function
@pytest.mark.parametrize("persona", MAY_CALL)
def test_nothing_else_changes(db: Session, world: World, changes: FindChanges, name: str, persona: str) -> None:
    """A call that is refused changes nothing at all."""
    refused = False
    with changes() as changed, db.acting_as(persona):
        try:
            with db.connection.transaction():
                call(db, world, name)
        except psycopg.errors.InsufficientPrivilege:
            refused = True
    assert not refused if persona == "customer" else refused or MAY_CALL[persona]
    assert changed == ([] if refused else FUNCTIONS[name].changes(world, persona))


@pytest.mark.parametrize("name", STABLE)
def test_a_stable_function_runs_in_a_get(db: Session, world: World, name: str) -> None:
    with db.reading_as("customer"):
        assert call(db, world, name) == FUNCTIONS[name].answer


@pytest.mark.parametrize("name", VOLATILE)
def test_a_volatile_function_does_not_run_in_a_get(db: Session, world: World, name: str) -> None:
    with db.reading_as("customer"), db.raises("25006", message="in a read-only transaction"):
        call(db, world, name)


# ------------------------------------------------------------------ safe name lookup


@every_function
def test_the_callers_search_path_changes_nothing(db: Session, world: World, name: str) -> None:
    plant(db)
    with db.acting_as("customer"):
        db.execute("SET LOCAL search_path = planted, pg_temp, pg_catalog")
        with db.raises("P0001", message="wrong object"):  # the planted operator is found
            db.execute("SELECT 'a'::text = 'a'::text")
        assert call(db, world, name) == FUNCTIONS[name].answer


@every_function
def test_a_temporary_type_changes_nothing(db: Session, world: World, name: str) -> None:
    """PostgreSQL looks up types in pg_temp first, also with an empty search path. The CHECK of a caller's domain would
    run as the owner of the function: also in auth.uid(), which casts to "uuid"."""
    db.execute("SET LOCAL search_path = pg_catalog, pg_temp")  # for the statements of the test
    for kind in ("jsonb", "uuid"):
        db.execute(f"CREATE DOMAIN pg_temp.{kind} AS pg_catalog.{kind} CONSTRAINT wrong_object CHECK (VALUE IS NULL)")
    compile_again(db, name)
    with db.acting_as("customer"):
        assert call(db, world, name) == FUNCTIONS[name].answer


@every_function
def test_a_caller_needs_no_privilege_on_its_tables(db: Session, world: World, name: str) -> None:
    """It reads and writes as its owner, and decides itself what the caller may do."""
    for schema in ("audit", "catalog", "communication", "identity", "organization", "scheduling"):
        db.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM authenticated")
    with db.acting_as("customer"):
        assert call(db, world, name) == FUNCTIONS[name].answer


# ------------------------------------------------------------------ what a stable function sees


@pytest.mark.parametrize("name", [name for name in STABLE if not FUNCTIONS[name].result.startswith("TABLE")])
def test_a_prepared_call_sees_other_rows(db: Session, world: World, name: str) -> None:
    """The plan of a prepared statement keeps the result of an IMMUTABLE function, unless it returns rows."""
    db.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    with db.acting_as("customer"):
        db.execute(f"PREPARE again AS {text_of(db, world, name)}")
        assert db.value("EXECUTE again") == FUNCTIONS[name].answer
    db.execute("UPDATE catalog.services SET duration_range = interval '1 hour'")
    db.execute("DELETE FROM communication.notifications")
    with db.acting_as("customer"):
        assert db.value("EXECUTE again") != FUNCTIONS[name].answer
    db.execute("DEALLOCATE again")


# ------------------------------------------------------------------ parallel queries


@pytest.mark.parametrize("name", VOLATILE)
def test_a_function_that_writes_runs_in_no_parallel_worker(db: Session, world: World, name: str) -> None:
    """There it could not write. The setting asks for a worker wherever PostgreSQL thinks that one is safe."""
    db.execute("SET LOCAL debug_parallel_query = on")
    with db.acting_as("customer"):
        assert call(db, world, name) == FUNCTIONS[name].answer


# ------------------------------------------------------------------ errors that a function passes on


class Write(NamedTuple):
    """What a function writes, and the text that it puts before the message of an error."""

    command: str
    table: str
    prefix: str = ""


WRITES = {
    "communication.send_notification": Write("INSERT", "communication.notifications", "Failed to send notification: "),
    "communication.mark_notifications_read": Write(
        "UPDATE", "communication.notifications", "Failed to mark notifications as read: "
    ),
    "audit.log_action": Write("INSERT", "audit.audit_logs"),
}
ERRORS = [error for error in vars(psycopg.errors).values() if isinstance(error, type)]
SQLSTATES = sorted(error.sqlstate for error in ERRORS if issubclass(error, psycopg.Error) and error.sqlstate)
NEVER_CAUGHT = ("57014", "P0004")  # WHEN OTHERS does not catch a cancelled query and a failed ASSERT
FAIL = """
    CREATE FUNCTION pg_temp.fail() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION USING ERRCODE = current_setting('tests.sqlstate'), MESSAGE = '50% of them', DETAIL = 'the row';
    END $$;
    CREATE TRIGGER fails BEFORE {command} ON {table} FOR EACH ROW EXECUTE FUNCTION pg_temp.fail()
"""


@pytest.mark.parametrize("name", VOLATILE)
def test_every_error_keeps_its_sqlstate(db: Session, world: World, changes: FindChanges, name: str) -> None:
    """A caller sees which error it was. A function that adds a text to the message leaves the detail out."""
    assert len(SQLSTATES) > 200
    write = WRITES[name]
    db.execute(FAIL.format(command=write.command, table=write.table))
    with changes() as changed, db.acting_as("customer"):
        for sqlstate in SQLSTATES:
            is_passed_on = not write.prefix or sqlstate in NEVER_CAUGHT
            message, detail = ("50% of them", "the row") if is_passed_on else (f"{write.prefix}50% of them", None)
            db.execute("SELECT set_config('tests.sqlstate', %s, true)", [sqlstate])
            with pytest.raises(psycopg.Error) as raised, db.connection.transaction():
                call(db, world, name)
            diag = raised.value.diag
            got = diag.sqlstate, diag.message_primary, diag.message_detail, diag.message_hint
            assert got == (sqlstate, message, detail, None)
    assert changed == [set_to("setting tests.sqlstate", SQLSTATES[-1])]


# ------------------------------------------------------------------ any number of rows, of any age


@pytest.mark.parametrize("moment", ["-infinity", "1970-01-01 00:00Z"])
@pytest.mark.parametrize("name", VOLATILE)
def test_the_age_of_a_row_does_not_decide(
    db: Session, world: World, changes: FindChanges, name: str, moment: str
) -> None:
    """Nothing else changes if all rows of all tables are old."""
    db.execute("SET LOCAL session_replication_role = replica")  # without triggers
    dated = db.rows(
        """
        SELECT attrelid::regclass::text FROM pg_attribute
        WHERE attname = 'created_at' AND attrelid::regclass::text = ANY (%s) AND NOT attisdropped
        """,
        [list(world.rows)],
    )
    assert ("audit.audit_logs",) in dated
    for (table,) in dated:
        db.execute(f"UPDATE {table} SET created_at = %s WHERE created_at IS NOT NULL", [moment])
    db.execute("SET LOCAL session_replication_role = origin")
    with changes() as changed, db.acting_as("customer"):
        assert call(db, world, name) == FUNCTIONS[name].answer
    assert changed == FUNCTIONS[name].changes(world, "customer")


# ------------------------------------------------------------------ the language of the server


@pytest.mark.rolecall_pin
def test_no_text_is_in_the_language_of_the_server(db: Session, manifest: Manifest) -> None:
    """TM in a format asks for the names of lc_time. The server of the tests may have no locale but C."""
    names = [item.full_name for item in manifest.of_kind("function", "trigger function")]
    codes = db.rows("SELECT prosrc FROM pg_proc WHERE oid = ANY (%s::regproc[])", [names])
    views = db.rows(
        "SELECT pg_get_viewdef(v::regclass) FROM unnest(%s::text[]) AS v",
        [[item.full_name for item in manifest.of_kind("view")]],
    )
    formats = [found for (code,) in (*codes, *views) for found in re.findall(r"to_char\([^']*'([^']*)'", code)]
    assert "FMDay" in formats
    assert [each for each in formats if "TM" in each.upper()] == []
