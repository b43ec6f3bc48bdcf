"""What a role may do beside the commands of the grids: tried as the role, on every table, view and function.

Each role gets USAGE on the schema and a schema of its own first, so that only the object itself can refuse.
"""

from __future__ import annotations

import pytest

from rolecall import Session, World
from rolecall.access.world import insert
from rolecall.catalog.manifest import Manifest

WRITABLE = {
    "scheduling.appointment_services": ["INSERT", "SELECT", "UPDATE"],
    "communication.message_threads": ["DELETE", "INSERT", "SELECT", "UPDATE"],
    "engagement.customer_favorites": ["DELETE", "INSERT", "SELECT", "UPDATE"],
    "audit.audit_logs": ["INSERT", "SELECT"],
    "catalog.service_booking_rules": ["DELETE", "INSERT", "SELECT", "UPDATE"],
}
MORE_OF_THE_SERVICE = {"scheduling.appointment_services": ["DELETE", "INSERT", "SELECT", "UPDATE"]}
VIEWS = (
    *("audit.audit_logs_view", "communication.view_notifications", "engagement.customer_favorites_view"),
    *("engagement.salon_reviews_with_counts_view", "identity.view_profile_metadata"),
    *("identity.view_user_preferences", "scheduling.view_blocked_times_with_relations"),
)
FUNCTIONS = (
    *("audit.log_action", "catalog.calculate_duration_minutes", "communication.get_notifications_page"),
    *("communication.get_unread_count", "communication.get_unread_counts", "communication.mark_notifications_read"),
    *("communication.send_notification", "scheduling.calculate_business_hours"),
)
KINDS = {"table": tuple(WRITABLE), "view": VIEWS, "function": FUNCTIONS}

# authenticator has the privileges of PUBLIC alone: it inherits none of its roles.
WITHOUT_ANY = ("anon", "authenticator")
OF_THE_API = ("authenticated", "service_role")

every_role = pytest.mark.parametrize("role", [*WITHOUT_ANY, *OF_THE_API])
every_table = pytest.mark.parametrize("table", WRITABLE)

NOTHING = "EXECUTE FUNCTION own.nothing()"
STRUCTURE = {
    "TRUNCATE": "TRUNCATE {}",
    "REFERENCES": "CREATE TABLE own.child (id uuid REFERENCES {})",
    "TRIGGER": f"CREATE TRIGGER own BEFORE INSERT ON {{}} {NOTHING}",
}
ROWS = {
    "SELECT": "SELECT FROM {}",
    "INSERT": "INSERT INTO {} DEFAULT VALUES",
    "UPDATE": "UPDATE {} SET id = DEFAULT",
    "DELETE": "DELETE FROM {}",
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_object_is_listed(manifest: Manifest, kind: str) -> None:
    assert sorted(KINDS[kind]) == sorted(item.full_name for item in manifest.of_kind(kind))


def welcome(db: Session, role: str, relation: str) -> None:
    """Give a role everything that a command needs besides its privilege on the object."""
    db.execute(f"GRANT USAGE ON SCHEMA {relation.split('.')[0]} TO {role}")
    db.execute(f"CREATE SCHEMA own; GRANT ALL ON SCHEMA own TO {role}")
    db.execute("CREATE FUNCTION own.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")


def refuses(db: Session, role: str, statement: str, message: str) -> None:
    with db.raises("42501", message=message):
        db.execute(f"SET LOCAL ROLE {role}")
        db.execute(statement)


@every_role
@every_table
def test_no_role_empties_a_table_refers_to_it_or_adds_a_trigger(db: Session, table: str, role: str) -> None:
    welcome(db, role, table)
    for statement in STRUCTURE.values():
        refuses(db, role, statement.format(table), f"permission denied for table {table.split('.')[1]}")


@every_role
def test_no_role_creates_an_object_in_a_schema(db: Session, manifest: Manifest, role: str) -> None:
    schemas = sorted({name.split(".")[0] for names in (*KINDS.values(), manifest.tables) for name in names})
    assert {"audit", "identity", "storage"} <= set(schemas)
    for schema in schemas:
        db.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
        refuses(db, role, f"CREATE TABLE {schema}.own (id int)", f"permission denied for schema {schema}")


@pytest.mark.parametrize("role", WITHOUT_ANY)
@every_table
def test_a_role_without_grants_reads_and_writes_nothing(db: Session, table: str, role: str) -> None:
    welcome(db, role, table)
    for statement in ROWS.values():
        refuses(db, role, statement.format(table), f"permission denied for table {table.split('.')[1]}")


@pytest.mark.parametrize(
    ("table", "command"),
    [(table, each) for table, held in WRITABLE.items() for each in ("UPDATE", "DELETE") if each not in held],
)
def test_a_command_without_a_grant_has_no_policy_either(db: Session, world: World, table: str, command: str) -> None:
    """A grant that somebody adds later must not be enough."""
    db.execute(f"GRANT {command} ON {table} TO authenticated")
    for persona in world.personas.values():
        if persona.role == "authenticated":
            with db.acting_as(persona.name):
                assert db.execute(ROWS[command].format(table)).rowcount == 0, persona.name


@every_role
@pytest.mark.parametrize("view", VIEWS)
def test_a_role_writes_to_no_view(db: Session, view: str, role: str) -> None:
    """Most views join tables, and refuse every write. A trigger makes each writable: then only privileges decide."""
    welcome(db, role, view)
    db.execute(f"CREATE TRIGGER writes INSTEAD OF INSERT OR UPDATE OR DELETE ON {view} FOR EACH ROW {NOTHING}")
    (column,) = db.row("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum = 1", [view])
    for statement in ROWS.values():
        if role in WITHOUT_ANY or not statement.startswith("SELECT"):
            text = statement.replace("id = DEFAULT", f"{column} = NULL").replace("DEFAULT VALUES", "SELECT")
            refuses(db, role, text.format(view), f"permission denied for view {view.split('.')[1]}")


@pytest.mark.parametrize("role", OF_THE_API)
@pytest.mark.parametrize("relation", [*WRITABLE, *VIEWS])
def test_no_role_passes_a_privilege_on(db: Session, relation: str, role: str) -> None:
    held = (WRITABLE | MORE_OF_THE_SERVICE if role == "service_role" else WRITABLE).get(relation, ["SELECT"])
    for privilege in held:
        with db.connection.transaction(force_rollback=True):
            db.execute(f"SET LOCAL ROLE {role}")
            db.execute(f"GRANT {privilege} ON {relation} TO anon")
            assert db.value("SELECT has_table_privilege('anon', %s, %s)", [relation, privilege]) is False


@pytest.mark.parametrize("role", OF_THE_API)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_role_passes_execute_on(db: Session, function: str, role: str) -> None:
    with db.connection.transaction(force_rollback=True):
        db.execute(f"SET LOCAL ROLE {role}")
        db.execute(f"GRANT EXECUTE ON FUNCTION {function} TO anon")
        assert db.value("SELECT has_function_privilege('anon', %s::regproc, 'EXECUTE')", [function]) is False


@every_role
@pytest.mark.parametrize("kind", KINDS)
def test_only_the_owner_changes_an_object(db: Session, kind: str, role: str) -> None:
    for name in KINDS[kind]:
        db.execute(f"GRANT USAGE ON SCHEMA {name.split('.')[0]} TO {role}")
        refuses(db, role, f"COMMENT ON {kind} {name} IS 'mine'", f"must be owner of {kind} ")


@pytest.mark.parametrize("table", [*WRITABLE, "storage.objects"])
def test_a_role_without_policies_sees_and_changes_no_row(db: Session, world: World, table: str) -> None:
    """With every grant, and with the claims of each persona: the policies are for authenticated alone."""
    db.execute(f"GRANT USAGE ON SCHEMA {table.split('.')[0]} TO authenticator; GRANT ALL ON {table} TO authenticator")
    db.execute("SELECT set_config('storage.allow_delete_query', 'true', true)")
    contents = f"SELECT jsonb_agg(to_jsonb(t) ORDER BY id) FROM {table} AS t"
    before = db.value(contents)
    for persona in [each for each in world.personas.values() if "sub" in each.claims]:
        with db.connection.transaction(force_rollback=True):
            db.execute("SELECT set_config('request.jwt.claims', %s, true)", [persona.token])
            db.execute("SET LOCAL ROLE authenticator")
            assert db.value(f"SELECT count(*) FROM {table}") == 0
            # They read no column, so that no SELECT policy applies.
            db.execute(f"UPDATE {table} SET id = DEFAULT")
            db.execute(f"DELETE FROM {table}")
            for row in world.rows[table].values():
                with db.raises("42501", message="row-level security"):
                    db.execute(insert(table, {**row, "id": "00000000-0000-4000-8000-000000000000"}))
            db.execute("RESET ROLE")
            assert db.value(contents) == before
