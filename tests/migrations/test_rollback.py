"""rollback.sql is the exact inverse of its phase: it restores the schema exactly, and keeps all earlier rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import Connection, sql

from rolecall import FindChanges, World
from rolecall.access.world import insert
from rolecall.catalog.objects import Object, objects
from rolecall.database.rolled_back import rolled_back
from rolecall.database.scratch import Scratch
from rolecall.errors import SqlError
from rolecall.settings import read as read_settings
from rolecall.sql.migrations import Phase, read
from tests.migrations.conftest import Stages
from tests.migrations.helpers import DISCARD, roll_back_to, rows, tables, wait_for_lock
from tests.races.arena import Arena

PHASES = (1, 2, 3, 4)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each step that may be the last one that ran, or the only one of a later phase."""
    folder = read_settings(metafunc.config).migrations
    assert folder
    phases = read(folder)
    if "last_step" in metafunc.fixturenames:
        metafunc.parametrize("last_step", [str(step) for phase in phases for step in phase.steps[:-1]])
    if "later_step" in metafunc.fixturenames:
        later = [
            (earlier.number, phase.number, str(step))
            for phase in phases
            for step in phase.steps
            for earlier in phases
            if earlier.number < phase.number
        ]
        metafunc.parametrize(
            ("number", "later", "later_step"), later, ids=[f"phase {number}, after {step}" for number, _, step in later]
        )


def state(connection: Connection[Any]) -> tuple[list[Object], list[Any], list[Any]]:
    """Everything that phase 1 could leave. For tests in one transaction, whose changes pg_dump cannot see."""
    schemas = """
        SELECT nspname, obj_description(n.oid, 'pg_namespace'),
               array(SELECT a::text FROM aclexplode(coalesce(nspacl, acldefault('n', nspowner))) a ORDER BY 1)
        FROM pg_namespace n WHERE nspname !~ '^pg_' ORDER BY 1
    """
    storage = "SELECT b::text FROM storage.buckets b UNION ALL SELECT o::text FROM storage.objects o ORDER BY 1"
    return objects(connection), connection.execute(schemas).fetchall(), connection.execute(storage).fetchall()


# ------------------------------------------------------------------ the inverse


def test_rollback_restores_the_schema_phase_by_phase(scratch: Callable[..., Scratch], world: World) -> None:
    database = scratch()
    existing = tables(database.connection)
    for table, _, row in world:
        if table in existing and row.get("bucket_id") != "avatars":
            database.connection.execute(insert(table, row))
    before = rows(database.connection, existing)
    assert all(before[table] for table in ("identity.profiles", "organization.salons", "storage.objects"))
    dumps = {}
    for number in PHASES:
        dumps[number] = database.dump()
        database.apply(number)
    for number in reversed(PHASES):
        database.rollback(number)
        assert database.dump() == dumps[number], f"phase {number}"
    assert rows(database.connection, existing) == before


@pytest.mark.parametrize("number", PHASES, ids="phase {}".format)
def test_rollback_without_its_phase_changes_nothing(scratch: Callable[..., Scratch], number: int) -> None:
    database = scratch()
    if number == 3:
        database.apply(1)
    before = database.dump()
    database.rollback(number)
    database.apply(number)
    database.rollback(number)
    database.rollback(number)
    assert database.dump() == before


def test_a_half_applied_phase_rolls_back(
    phases: dict[int, Phase], after: Callable[..., Scratch], last_step: str
) -> None:
    (phase,) = (phase for phase in phases.values() if last_step in map(str, phase.steps))
    database = after(1) if phase.number == 3 else after()
    before = state(database.connection)
    for step in phase.steps:
        database.execute(step.path)
        if str(step) == last_step:
            break
    assert state(database.connection) != before or last_step == "3.1 audit_logs_view"
    database.rollback(phase.number)
    assert state(database.connection) == before


# ------------------------------------------------------------------ what existed before phase 1 stays


@pytest.mark.parametrize(
    "before",
    [
        pytest.param("SELECT", id="the baseline's own grants"),
        pytest.param("REVOKE USAGE ON SCHEMA {schemas} FROM {roles}", id="no schema open"),
        pytest.param("GRANT USAGE ON SCHEMA {schemas} TO {roles}", id="every schema open"),
        pytest.param("GRANT USAGE ON SCHEMA audit TO authenticated", id="audit open to one of the two"),
        pytest.param("GRANT USAGE ON SCHEMA audit TO PUBLIC", id="audit open to PUBLIC"),
        pytest.param("GRANT ALL ON SCHEMA audit TO service_role WITH GRANT OPTION", id="audit open to create in"),
        pytest.param("REVOKE USAGE ON SCHEMA catalog, identity FROM service_role", id="two closed to the service"),
        pytest.param("COMMENT ON SCHEMA audit IS 'Who did what.'", id="a comment on audit"),
        pytest.param(r"COMMENT ON SCHEMA audit IS E'Who did what.\n\nKept: 10 years\n'", id="a longer comment"),
        pytest.param("COMMENT ON SCHEMA audit IS 'See enorae phase 1: there'", id="a comment on phase 1"),
        pytest.param("INSERT INTO storage.buckets {bucket}", id="an empty bucket"),
        pytest.param(
            "INSERT INTO storage.buckets {bucket}; "
            "INSERT INTO storage.objects (bucket_id, name) VALUES ('avatars', 'a.png')",
            id="a bucket with a picture in it",
        ),
    ],
)
def test_rollback_of_phase_1_removes_only_its_own_additions(bare: Scratch, before: str) -> None:
    words = {
        "schemas": "identity, organization, catalog, scheduling, communication, engagement, audit",
        "roles": "authenticated, service_role",
        "bucket": "(id, name, public, file_size_limit) VALUES ('avatars', 'avatars', false, 5242880)",
    }
    with bare.connection.transaction(force_rollback=True):
        as_owner = sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(bare.role or ""))
        bare.connection.execute(as_owner)
        bare.connection.execute(before.format(**words).encode())
        bare.connection.execute("RESET ROLE")
        expected = state(bare.connection)
        bare.apply(1)
        bare.verify(1)
        bare.apply(1)
        bare.rollback(1)
        assert state(bare.connection) == expected


@pytest.mark.parametrize(
    ("comment", "rest"),
    [
        pytest.param("{notes}\nKept for 10 years", "Kept for 10 years", id="a line below"),
        pytest.param("{notes}\n\nKept:\n10 years\n", "\nKept:\n10 years\n", id="several lines below"),
        pytest.param("Who did what.\n{notes}\nKept for 10 years", "Who did what.\nKept for 10 years", id="around them"),
        pytest.param("{notes}\n{notes}", None, id="the notes twice"),
        pytest.param("See {notes}", "See {first}", id="a note that is no longer one"),
    ],
)
def test_rollback_keeps_what_somebody_wrote_around_its_notes(bare: Scratch, comment: str, rest: str | None) -> None:
    noted = "SELECT obj_description('audit'::regnamespace, 'pg_namespace')"
    with bare.connection.transaction(force_rollback=True):
        bare.apply(1)
        (notes,) = bare.connection.execute(noted).fetchone() or ("",)
        lines = notes.splitlines()
        assert len(lines) > 1
        comment = comment.format(notes=notes)
        bare.connection.execute(sql.SQL("COMMENT ON SCHEMA audit IS {}").format(comment))
        bare.rollback(1)
        assert bare.connection.execute(noted).fetchone() == (rest and rest.format(first=lines[0]),)


def test_rollback_restores_the_protection_of_storage(bare: Scratch) -> None:
    with bare.connection.transaction(force_rollback=True):
        bare.apply(1)
        bare.rollback(1)
        setting = bare.connection.execute("SELECT current_setting('storage.allow_delete_query', true)").fetchone()
    assert setting == ("",)


# ------------------------------------------------------------------ in order


def test_the_error_names_the_phase_to_roll_back_first(
    after: Callable[..., Scratch], number: int, later: int, later_step: str
) -> None:
    """One step of a later phase is enough for the error."""
    database = after(1) if number == 1 or later == 3 else after()
    (path,) = (step.path for step in database.phases[later].steps if str(step) == later_step)
    database.execute(path)
    before = state(database.connection)
    with pytest.raises(SqlError, match=f"roll back phase {later} first") as excinfo:
        database.rollback(number)
    assert excinfo.value.sqlstate == "55000"
    assert state(database.connection) == before


@pytest.mark.parametrize("number", [1, 2, 3], ids="phase {}".format)
def test_the_last_of_several_later_phases_is_named(migrated: Scratch, number: int) -> None:
    with pytest.raises(SqlError, match=f"phase {number} cannot be rolled back .* roll back phase 4 first"):
        migrated.rollback(number)


def test_a_later_phase_stops_the_rollback_in_a_session_that_has_no_setting(scratch: Callable[..., Scratch]) -> None:
    """Where another script has set it, the setting is empty. That is not the same: NULL <> 'on' is no yes."""
    database = scratch(migrated=True)
    (setting,) = database.connection.execute("SELECT current_setting('enorae.keep_others', true)").fetchone() or ("",)
    assert setting is None
    for number in (1, 2, 3):
        with pytest.raises(SqlError, match=f"phase {number} cannot be rolled back .* roll back phase 4 first"):
            database.rollback(number)


# ------------------------------------------------------------------ rows that a rollback would delete

COUNTED = {
    "scheduling.appointment_services": (1, "scheduling.appointment_services"),
    "communication.message_threads": (1, "communication.message_threads"),
    "engagement.customer_favorites": (1, "engagement.customer_favorites"),
    "audit.audit_logs": (1, "audit.audit_logs"),
    "storage.objects": (1, "objects in bucket avatars"),
    "catalog.service_booking_rules": (3, "catalog.service_booking_rules"),
}


def rows_to_lose(world: World, table: str) -> int:
    return sum(row.get("bucket_id", "avatars") == "avatars" for row in world.rows[table].values())


@pytest.mark.parametrize("number", [1, 3], ids="phase {}".format)
def test_it_stops_and_counts_the_rows_of_each_table(
    down_to: Callable[[int], Scratch], world: World, number: int
) -> None:
    losses = [f"{name}: {rows_to_lose(world, table)}" for table, (phase, name) in COUNTED.items() if phase == number]
    expected = sorted(losses)
    assert expected
    database = down_to(number)
    before = rows(database.connection, tables(database.connection))
    with pytest.raises(SqlError, match="would delete rows") as excinfo:
        database.rollback(number)
    assert rows(database.connection, tables(database.connection)) == before
    database.verify(number)
    assert excinfo.value.sqlstate == "55000"
    lines = str(excinfo.value).splitlines()
    assert [line.removesuffix(" (55000)") for line in lines if line.removesuffix(" (55000)") in expected] == expected
    assert "SET enorae.discard_data = 'on'" in str(excinfo.value)


@pytest.fixture(scope="module")
def applied(stages: Stages, world: World) -> Callable[[int], Scratch]:
    """A function for a committed database with phases 1 up to a number, in whose new tables there is no row."""

    def prepare(database: Scratch, number: int) -> None:
        database.apply(*range(1, number + 1))
        for table, _, row in world:
            if table not in COUNTED:
                database.connection.execute(insert(table, row))

    return lambda number: stages.get(f"applied {number}", lambda new: prepare(new, number))


@pytest.mark.parametrize("table", COUNTED)
def test_rows_in_one_table_stop_it(applied: Callable[[int], Scratch], world: World, table: str) -> None:
    """The statistics say that the table is empty: they are those of an ANALYZE before the first row."""
    number, name = COUNTED[table]
    database = applied(number)
    with rolled_back(database.connection):
        database.connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(*table.split("."))))
        for row in world.rows[table].values():
            database.connection.execute(insert(table, row))
        with pytest.raises(SqlError) as excinfo:
            database.rollback(number)
    message = f"would delete rows:\n{name}: {rows_to_lose(world, table)} (55000)\n"
    assert message in str(excinfo.value)


@pytest.mark.parametrize("count", [0, 1, 2], ids=["no row", "one row", "two rows"])
@pytest.mark.parametrize("table", COUNTED)
def test_one_row_is_enough_to_stop_it(
    applied: Callable[[int], Scratch], world: World, changes: FindChanges, table: str, count: int
) -> None:
    number, name = COUNTED[table]
    database = applied(number)
    with rolled_back(database.connection):
        lost = [row for row in world.rows[table].values() if row.get("bucket_id", "avatars") == "avatars"][:count]
        for row in lost:
            database.connection.execute(insert(table, row))
        if not lost:
            database.rollback(number)
            with pytest.raises(SqlError, match=f"phase {number} differs from what its steps create"):
                database.verify(number)
            return
        with changes(database) as changed, pytest.raises(SqlError) as excinfo:
            database.rollback(number)
        assert changed == []
    assert f"would delete rows:\n{name}: {count} (55000)\n" in str(excinfo.value)


@pytest.mark.parametrize("table", COUNTED)
def test_a_row_that_is_committed_while_it_waits_stops_it(
    applied: Callable[[int], Scratch], world: World, table: str
) -> None:
    """It must count after it has its locks: before, it does not see the row of an open transaction."""
    number, name = COUNTED[table]
    database = applied(number)
    row = next(row for row in world.rows[table].values() if row.get("bucket_id", "avatars") == "avatars")
    try:
        with Arena(database, world).racers("service", "service") as (client, migration):
            client.run("BEGIN")
            client.run(insert(table, row).as_string())
            running = migration.start(database.phases[number].rollback.path.read_text(encoding="utf-8"))
            wait_for_lock(database, migration, running)
            client.run("COMMIT")
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as excinfo:
                running.result(10)
        assert f"would delete rows:\n{name}: 1\n" in str(excinfo.value)
        database.verify(number)
    finally:
        key = sql.SQL("SET session_replication_role = replica; DELETE FROM {}; RESET session_replication_role")
        database.connection.execute(key.format(sql.Identifier(*table.split("."))))


@pytest.mark.parametrize("number", [2, 4], ids="phase {}".format)
def test_a_phase_without_tables_needs_no_setting(migrated: Scratch, number: int) -> None:
    """Also while there are rows in the tables and in the bucket of other phases."""
    with migrated.connection.transaction(force_rollback=True):
        roll_back_to(migrated, number)
        before = rows(migrated.connection, tables(migrated.connection))
        assert before["storage.objects"]
        migrated.rollback(number)
        assert rows(migrated.connection, tables(migrated.connection)) == before


@pytest.mark.parametrize("value", ["off", "", "true", "ON", "1"])
def test_only_the_value_on_discards_rows(migrated: Scratch, value: str) -> None:
    with migrated.connection.transaction(force_rollback=True):
        roll_back_to(migrated, 3)
        migrated.connection.execute("SELECT set_config('enorae.discard_data', %s, true)", [value])
        with pytest.raises(SqlError, match="would delete rows"):
            migrated.rollback(3)


def test_discard_data_removes_only_the_rows_of_the_phases(migrated: Scratch, bare: Scratch, world: World) -> None:
    existing = tables(bare.connection)
    with migrated.connection.transaction(force_rollback=True):
        before = rows(migrated.connection, existing)
        roll_back_to(migrated, 0)
        after = rows(migrated.connection, existing)
        assert state(migrated.connection)[:2] == state(bare.connection)[:2]
    losses = {table: len(before[table]) - len(after[table]) for table in existing if before[table] != after[table]}
    assert losses == {"storage.objects": rows_to_lose(world, "storage.objects"), "storage.buckets": 1}


def test_a_role_that_cannot_see_all_rows_gets_an_error(migrated: Scratch) -> None:
    """Otherwise it would count none, and would delete them."""
    with migrated.connection.transaction(force_rollback=True):
        roll_back_to(migrated, 1)
        for change in ("ALTER ROLE {} NOBYPASSRLS", "REVOKE supabase_storage_admin FROM {}"):
            migrated.connection.execute(sql.SQL(change).format(sql.Identifier(migrated.role or "")))
        with pytest.raises(SqlError, match="would be affected by row-level security policy") as excinfo:
            migrated.rollback(1)
    assert excinfo.value.sqlstate == "42501"


# ------------------------------------------------------------------ objects of others that depend on it


@pytest.mark.parametrize(
    ("number", "statement"),
    [
        pytest.param(number, statement, id=f"phase {number}: {what}")
        for number, what, statement in [
            (1, "a view on a table", "CREATE VIEW public.stray AS SELECT id FROM communication.message_threads"),
            (1, "a view on a view", "CREATE VIEW public.stray AS SELECT id FROM engagement.customer_favorites_view"),
            (1, "a view on the logs", "CREATE VIEW public.stray AS SELECT id FROM audit.audit_logs_view"),
            (1, "a foreign key", "CREATE TABLE public.stray (id uuid REFERENCES scheduling.appointment_services (id))"),
            (1, "a policy", "CREATE POLICY stray ON identity.profiles USING (EXISTS (SELECT FROM audit.audit_logs))"),
            (
                1,
                "a trigger",
                "CREATE TRIGGER stray BEFORE UPDATE ON identity.profiles FOR EACH ROW "
                "EXECUTE FUNCTION communication.keep_thread_participants()",
            ),
            (2, "a view on a function", "CREATE VIEW public.stray AS SELECT catalog.calculate_duration_minutes(NULL)"),
            (
                2,
                "a default",
                "CREATE TABLE public.stray (count bigint DEFAULT communication.get_unread_count(auth.uid()))",
            ),
            (3, "a view on the rules", "CREATE VIEW public.stray AS SELECT id FROM catalog.service_booking_rules"),
            (
                3,
                "a view on the reviews",
                "CREATE VIEW public.stray AS SELECT id FROM engagement.salon_reviews_with_counts_view",
            ),
            (4, "a view on a view", "CREATE VIEW public.stray AS SELECT user_id FROM identity.view_user_preferences"),
        ]
    ],
)
def test_dependent_objects_stop_it(down_to: Callable[[int], Scratch], number: int, statement: str) -> None:
    database = down_to(number)
    database.connection.execute(statement.encode())
    before = state(database.connection)
    database.connection.execute(DISCARD)
    with pytest.raises(SqlError, match="other objects depend on it") as excinfo:
        database.rollback(number)
    assert state(database.connection) == before
    assert excinfo.value.sqlstate == "2BP01"
    assert "stray" in str(excinfo.value)
