"""Each entry of the runbook's troubleshooting: its cause gives its error, and its cure makes the same request work."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg import sql

from rolecall.database.scratch import Scratch
from rolecall.errors import SqlError
from rolecall.sql.files import statements
from tests.features.application import Application
from tests.features.conftest import Start
from tests.migrations.helpers import as_owner

ROOT = Path(__file__).parents[2]
RUNBOOK = ROOT / "docs" / "runbook.md"
HEADING = re.compile(r"^### (?P<heading>(?P<message>.+?)(?: \((?P<sqlstate>[0-9A-Z]{5})\))?)$", re.MULTILINE)

Action = Callable[[], object]


class Trouble(NamedTuple):
    """What goes wrong, what helps, and what works then: the same again, unless the cure is to do it differently."""

    request: Action
    cure: Action
    then: Action | None = None


Case = Callable[[Application], Trouble]
CASES: dict[str, Case] = {}


def entry(heading: str) -> Callable[[Case], Case]:
    """Register a function as the case of the entry with this heading."""

    def register(case: Case) -> Case:
        assert heading not in CASES
        CASES[heading] = case
        return case

    return register


def entries() -> Iterator[re.Match[str]]:
    """The headings of the section "Troubleshooting"."""
    return HEADING.finditer(RUNBOOK.read_text(encoding="utf-8").split("\n## Troubleshooting\n")[1])


ENTRIES = {each["heading"]: each for each in entries()}


def nothing() -> None:
    """No cure of the database: the request has to be another one."""


def superuser(app: Application, statement: str) -> Action:
    """An action: a statement past all policies."""
    return lambda: app.scratch.connection.execute(statement.encode())


def step(app: Application, name: str) -> Action:
    """An action: run a step again, by its number and name."""
    (path,) = (each.path for phase in app.scratch.phases.values() for each in phase.steps if str(each) == name)
    return lambda: app.scratch.execute(path)


def verify(app: Application, *numbers: int) -> Action:
    """An action: run the verify.sql of these phases (none: of all)."""

    def run() -> None:
        for number in numbers or app.scratch.phases:
            app.scratch.verify(number)

    return run


# ------------------------------------------------------------------ the entries of the plan

BOOKED = "scheduling.appointment_services"
FAVORITES = "engagement.customer_favorites"
THREADS = "communication.message_threads"
RULES = "catalog.service_booking_rules"


@entry('relation "…" does not exist (42P01)')
def a_step_did_not_run(app: Application) -> Trouble:
    superuser(app, f"DROP TABLE {BOOKED}")()
    with pytest.raises(SqlError, match=BOOKED):  # verify.sql names it
        app.scratch.verify(1)
    return Trouble(lambda: app.get("customer", f"SELECT * FROM {BOOKED}"), step(app, "1.1 appointment_services"))


@entry("permission denied for schema … (42501)")
def a_role_without_usage(app: Application) -> Trouble:
    """The plan's GRANTs do not help the service, nor a view that reads ``identity``."""
    schemas = "audit, catalog, communication, engagement, identity, organization, scheduling"
    superuser(app, f"REVOKE USAGE ON SCHEMA {schemas} FROM authenticated, service_role")()
    superuser(app, f"GRANT USAGE ON SCHEMA {schemas.replace('identity, organization, ', '')} TO authenticated")()
    assert app.get("customer", "SELECT * FROM audit.audit_logs") == []

    def requests() -> None:
        app.get("customer", "SELECT * FROM audit.audit_logs_view")
        app.get("service", "SELECT * FROM audit.audit_logs")

    return Trouble(requests, step(app, "1.0 schema_usage"))


@entry('new row violates row-level security policy for table "…" (42501)')
def a_row_of_another_user(app: Application) -> Trouble:
    def add(whose: str) -> object:
        return app.post("customer", FAVORITES, customer_id=app.id_of(whose), salon_id=app.named("salon"))

    return Trouble(lambda: add("other_customer"), nothing, lambda: add("customer"))


@entry('insert or update on table "…" violates foreign key constraint "…" (23503)')
def a_row_that_does_not_exist(app: Application) -> Trouble:
    """The plan's check says false about a profile that exists: the customer may not see it."""
    staff = app.id_of("staff")
    exists = f"SELECT EXISTS (SELECT FROM identity.profiles WHERE id = '{staff}')"
    assert (app.get("customer", exists), app.get("service", exists)) == ([{"exists": False}], [{"exists": True}])
    app.post("customer", THREADS, created_by_id=app.id_of("customer"), recipient_id=staff)
    new = "11111111-1111-1111-1111-111111111111"
    return Trouble(
        lambda: app.post("customer", THREADS, created_by_id=app.id_of("customer"), recipient_id=new),
        superuser(app, f"INSERT INTO identity.profiles (id) VALUES ('{new}')"),
    )


@entry("TypeScript errors after db:types")
def an_object_is_missing(app: Application) -> Trouble:
    superuser(app, "DROP FUNCTION communication.get_unread_count")()
    return Trouble(verify(app), step(app, "2.1.3 get_unread_count"))


@entry("The application is slow after the migration")
def an_index_is_missing(app: Application) -> Trouble:
    """The plan's queries and its ANALYZE cannot run (F110)."""
    for view in ("pg_stat_user_tables", "pg_stat_user_indexes"):
        with pytest.raises(psycopg.errors.UndefinedColumn, match="tablename"):
            superuser(app, f"SELECT schemaname, tablename FROM {view}")()
    with pytest.raises(psycopg.errors.UndefinedTable):
        superuser(app, "ANALYZE appointment_services")()
    superuser(app, "DROP INDEX communication.idx_message_threads_recipient")()
    return Trouble(verify(app, 1), step(app, "1.2 message_threads"))


@entry("Code still references a table that does not exist")
def a_wrong_name_in_the_code(app: Application) -> Trouble:
    verify(app)()
    return Trouble(
        lambda: app.get("customer", "SELECT * FROM communication.messages"),
        nothing,
        lambda: app.get("customer", f"SELECT * FROM {THREADS}"),
    )


# ------------------------------------------------------------------ requests


@entry("permission denied for table … (42501)")
def a_request_without_a_token(app: Application) -> Trouble:
    query = f"SELECT * FROM {FAVORITES}"
    return Trouble(lambda: app.get("anon", query), nothing, lambda: app.get("customer", query))


@entry("permission denied for function … (42501)")
def a_call_without_a_token(app: Application) -> Trouble:
    def call(who: str) -> object:
        return app.rpc(who, "catalog.calculate_duration_minutes", p_service_ids=[app.named("salon_service")])

    return Trouble(lambda: call("anon"), nothing, lambda: call("customer"))


@entry('duplicate key value violates unique constraint "…" (23505)')
def a_thread_that_exists(app: Application) -> Trouble:
    customer, staff = app.id_of("customer"), app.id_of("staff")
    app.post("customer", THREADS, created_by_id=customer, recipient_id=staff)

    def use_it() -> None:
        (thread,) = app.get("staff", f"SELECT id FROM {THREADS} WHERE created_by_id = %s", [customer])
        assert len(app.patch("staff", THREADS, thread["id"], unread_count=1)) == 1

    return Trouble(lambda: app.post("staff", THREADS, created_by_id=staff, recipient_id=customer), nothing, use_it)


@entry("there is no unique or exclusion constraint matching the ON CONFLICT specification (42P10)")
def an_upsert(app: Application) -> Trouble:
    values = f"(customer_id, salon_id) VALUES ('{app.id_of('customer')}', '{app.named('salon')}')"
    upsert = f"INSERT INTO {FAVORITES} {values} ON CONFLICT (customer_id, salon_id) DO UPDATE SET is_favorite = true"

    def look_first() -> None:
        assert app.get("customer", f"SELECT id FROM {FAVORITES}") == []
        app.request("customer", "POST", f"INSERT INTO {FAVORITES} {values}")

    return Trouble(lambda: app.request("customer", "POST", upsert), nothing, look_first)


@entry("p_user_id must be your own id (42501)")
def a_call_for_another_user(app: Application) -> Trouble:
    def call(who: str, user: str) -> object:
        return app.rpc(who, "communication.get_unread_count", p_user_id=app.id_of(user))

    def own_id_or_service() -> None:
        assert call("customer", "customer") == call("service", "customer")

    return Trouble(lambda: call("owner", "customer"), nothing, own_id_or_service)


@entry("function … does not exist (42883)")
def a_call_with_other_names(app: Application) -> Trouble:
    def call(**arguments: Any) -> object:
        return app.rpc("owner", "communication.send_notification", **arguments)

    row = {"recipient_id": app.id_of("customer"), "message": "Hello", "notification_type": "reminder"}
    return Trouble(lambda: call(**row), nothing, lambda: call(**{f"p_{name}": value for name, value in row.items()}))


# ------------------------------------------------------------------ steps and checks


@entry("the migrations need what this database does not have (42704)")
def a_table_that_the_steps_need(app: Application) -> Trouble:
    """Without the check, phase 2 installs a function that fails when it is called."""
    superuser(app, "ALTER TABLE communication.notifications RENAME TO messages")()
    app.scratch.apply(2)
    arguments = {"p_recipient_id": app.id_of("customer"), "p_message": "Hello", "p_notification_type": "reminder"}
    with pytest.raises(psycopg.errors.UndefinedTable, match="Failed to send notification"):
        app.rpc("owner", "communication.send_notification", **arguments)
    return Trouble(
        lambda: app.scratch.execute(ROOT / "baseline" / "requires.sql"),
        superuser(app, "ALTER TABLE communication.messages RENAME TO notifications"),
    )


@entry("a step runs in one transaction, and this session is in none (25P01)")
def a_step_without_a_transaction(app: Application) -> Trouble:
    (path,) = (each.path for each in app.scratch.phases[2].steps if each.name == "get_unread_count")

    def statement_by_statement() -> None:
        with app.scratch.run.connect(app.scratch.name) as connection:
            for each in statements(path.read_text(encoding="utf-8")):
                connection.execute(each.text.encode())

    return Trouble(statement_by_statement, nothing, step(app, "2.1.3 get_unread_count"))


@entry('… exists in another form: expected "…", found "…" (42P16)')
def a_function_of_the_team(app: Application) -> Trouble:
    function = "communication.get_unread_count"
    superuser(app, f"DROP FUNCTION {function}(uuid)")()
    body = "RETURNS integer LANGUAGE sql AS 'SELECT 7'"
    as_owner(app.scratch, f"CREATE FUNCTION {function}(p_user_id uuid) {body}")
    return Trouble(
        step(app, "2.1.3 get_unread_count"), superuser(app, f"ALTER FUNCTION {function}(uuid) RENAME TO our_count")
    )


@entry('… exists in another shape: expected column "…", found "…" (42P16)')
def a_table_of_another_shape(app: Application) -> Trouble:
    superuser(app, f"DROP TABLE {BOOKED}; CREATE TABLE {BOOKED} (id uuid, starts_at timestamptz)")()
    return Trouble(
        step(app, "1.1 appointment_services"),
        superuser(app, f"ALTER TABLE {BOOKED} RENAME TO former_appointment_services"),
    )


@entry("the bucket avatars exists with other settings: … (55000)")
def a_bucket_with_other_settings(app: Application) -> Trouble:
    superuser(app, "UPDATE storage.buckets SET public = true WHERE id = 'avatars'")()
    return Trouble(
        step(app, "1.5 avatars_bucket"),
        superuser(app, "UPDATE storage.buckets SET public = false WHERE id = 'avatars'"),
    )


@entry("… does not exist: apply phase 1 first (42P01)")
def phase_3_without_phase_1(app: Application) -> Trouble:
    for number in (4, 3, 2, 1):
        app.scratch.rollback(number)
    return Trouble(lambda: app.scratch.apply(3), lambda: app.scratch.apply(1))


@entry("canceling statement due to lock timeout (55P03)")
def a_long_transaction(app: Application) -> Trouble:
    other = app.cleanup.enter_context(app.scratch.run.connect(app.scratch.name))
    other.execute("BEGIN; LOCK TABLE scheduling.appointments IN ACCESS EXCLUSIVE MODE")
    (path,) = (each.path for each in app.scratch.phases[1].steps if each.name == "appointment_services")
    text = path.read_text(encoding="utf-8").replace("lock_timeout = '5s'", "lock_timeout = '1ms'")

    def impatient_step() -> None:
        with app.scratch.connection.transaction():
            app.scratch.connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(app.scratch.role or "")))
            app.scratch.connection.execute(text.encode())

    return Trouble(impatient_step, other.close, step(app, "1.1 appointment_services"))


@entry("phase … differs from what its steps create (P0001)")
def a_policy_was_changed(app: Application) -> Trouble:
    policy = f'POLICY "Customers can add favorites" ON {FAVORITES}'
    superuser(app, f"ALTER {policy} WITH CHECK (true)")()

    def drop_and_run_the_step() -> None:
        superuser(app, f"DROP {policy}")()
        step(app, "1.3 customer_favorites")()

    return Trouble(verify(app, 1), drop_and_run_the_step)


# ------------------------------------------------------------------ rollbacks


def rollback(scratch: Scratch, *numbers: int) -> Action:
    """An action: roll these phases back, in this order."""

    def run() -> None:
        for number in numbers:
            scratch.rollback(number)

    return run


@entry("phase … cannot be rolled back while phase … is applied: roll back phase … first (55000)")
def a_rollback_out_of_order(app: Application) -> Trouble:
    return Trouble(rollback(app.scratch, 3), rollback(app.scratch, 4))


@entry("phase … is not rolled back, because some objects are not as its steps create them (55000)")
def a_rollback_of_a_view_that_somebody_changed(app: Application) -> Trouble:
    view = "identity.view_user_preferences"
    superuser(app, f"ALTER VIEW {view} RESET (security_invoker)")()
    return Trouble(rollback(app.scratch, 4), superuser(app, f"ALTER VIEW {view} SET (security_invoker = true)"))


@entry("rolling back phase … would delete rows (55000)")
def a_rollback_of_a_table_in_use(app: Application) -> Trouble:
    rollback(app.scratch, 4, 3, 2)()
    app.post("customer", FAVORITES, customer_id=app.id_of("customer"), salon_id=app.named("salon"))
    return Trouble(rollback(app.scratch, 1), superuser(app, "SET enorae.discard_data = 'on'"))


@entry("cannot drop … because other objects depend on it (2BP01)")
def somebody_built_on_it(app: Application) -> Trouble:
    superuser(app, "CREATE VIEW public.theirs AS SELECT user_id FROM identity.view_user_preferences")()
    return Trouble(rollback(app.scratch, 4), superuser(app, "DROP VIEW public.theirs"))


@entry('query would be affected by row-level security policy for table "…" (42501)')
def a_rollback_as_another_role(app: Application) -> Trouble:
    """A role that may use the table, and does not bypass its policies."""
    rollback(app.scratch, 4)()
    app.post("service", RULES, service_id=app.named("salon_service"), salon_id=app.named("salon"))
    superuser(app, "SET enorae.discard_data = 'on'")()
    text = app.scratch.phases[3].rollback.path.read_text(encoding="utf-8")

    def as_authenticated() -> None:
        with app.scratch.connection.transaction():
            app.scratch.connection.execute("SET LOCAL ROLE authenticated")
            app.scratch.connection.execute(text.encode())

    return Trouble(as_authenticated, nothing, rollback(app.scratch, 3))


# ------------------------------------------------------------------ the tests


def test_each_entry_is_a_case_and_each_case_an_entry() -> None:
    assert sorted(ENTRIES) == sorted(CASES)


@pytest.mark.parametrize("heading", CASES, ids=lambda heading: CASES[heading].__name__.replace("_", " "))
def test_the_cause_gives_the_error_and_the_cure_ends_it(start: Start, heading: str) -> None:
    app = start(4)
    trouble = CASES[heading](app)
    entry = ENTRIES[heading]
    pattern = re.escape(entry["message"]).replace("…", ".+") if entry["sqlstate"] else None
    with pytest.raises((psycopg.Error, SqlError), match=pattern) as caught:
        trouble.request()
    assert getattr(caught.value, "sqlstate", None) == entry["sqlstate"] or not entry["sqlstate"]
    trouble.cure()
    (trouble.then or trouble.request)()
