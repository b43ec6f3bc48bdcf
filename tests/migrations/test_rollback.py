"""rollback.sql is the exact inverse of its phase: the schema to the byte, and every row that was there before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from psycopg import Connection, sql

from rolecall import World
from rolecall.access.world import insert
from rolecall.catalog.objects import Object, objects
from rolecall.database.scratch import Scratch
from rolecall.errors import SqlError
from rolecall.settings import read as read_settings
from rolecall.sql.migrations import read

PHASES = (1, 2, 3, 4)
DISCARD = "SET LOCAL enorae.discard_data = 'on'"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a step that may have been the last one to run, or the only one of a later phase."""
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


def tables(connection: Connection[Any]) -> list[str]:
    found = connection.execute("SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname !~ '^(pg_|inf)'")
    return sorted(name for (name,) in found)


def rows(connection: Connection[Any], names: list[str]) -> dict[str, list[str]]:
    """All rows of the tables, as text."""
    found: dict[str, list[str]] = {}
    for name in names:
        query = sql.SQL("SELECT t::text FROM {} AS t ORDER BY 1").format(sql.Identifier(*name.split(".")))
        found[name] = [row for (row,) in connection.execute(query)]
    return found


def state(connection: Connection[Any]) -> tuple[list[Object], list[Any], list[Any]]:
    """What phase 1 could leave behind, for tests in one transaction: pg_dump would see none of it."""
    schemas = """
        SELECT nspname, obj_description(n.oid, 'pg_namespace'),
               array(SELECT a::text FROM aclexplode(coalesce(nspacl, acldefault('n', nspowner))) a ORDER BY 1)
        FROM pg_namespace n WHERE nspname !~ '^pg_' ORDER BY 1
    """
    kept = "SELECT b::text FROM storage.buckets b UNION ALL SELECT o::text FROM storage.objects o ORDER BY 1"
    return objects(connection), connection.execute(schemas).fetchall(), connection.execute(kept).fetchall()


# ------------------------------------------------------------------ the inverse


def test_phases_go_back_one_by_one_to_where_they_came_from(scratch: Callable[..., Scratch], world: World) -> None:
    live = scratch()
    there = tables(live.connection)
    for table, _, row in world:
        if table in there and row.get("bucket_id") != "avatars":
            live.connection.execute(insert(table, row))
    before = rows(live.connection, there)
    assert all(before[table] for table in ("identity.profiles", "organization.salons", "storage.objects"))
    dumps = {}
    for number in PHASES:
        dumps[number] = live.dump()
        live.apply(number)
    for number in reversed(PHASES):
        live.rollback(number)
        assert live.dump() == dumps[number], f"phase {number}"
    assert rows(live.connection, there) == before


@pytest.mark.parametrize("number", PHASES, ids="phase {}".format)
def test_before_its_phase_and_a_second_time_it_changes_nothing(scratch: Callable[..., Scratch], number: int) -> None:
    alone = scratch()
    if number == 3:
        alone.apply(1)
    before = alone.dump()
    alone.rollback(number)
    alone.apply(number)
    alone.rollback(number)
    alone.rollback(number)
    assert alone.dump() == before


def test_a_phase_that_stopped_halfway_goes_back_too(bare: Scratch, last_step: str) -> None:
    with bare.connection.transaction(force_rollback=True):
        (phase,) = (phase for phase in bare.phases.values() if last_step in map(str, phase.steps))
        if phase.number == 3:
            bare.apply(1)
        before = state(bare.connection)
        for step in phase.steps:
            bare.execute(step.path)
            if str(step) == last_step:
                break
        assert state(bare.connection) != before or last_step == "3.1 audit_logs_view"
        bare.rollback(phase.number)
        assert state(bare.connection) == before


# ------------------------------------------------------------------ what was there before phase 1 stays


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
def test_phase_1_takes_back_what_it_gave_and_nothing_else(bare: Scratch, before: str) -> None:
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
        found = state(bare.connection)
        bare.apply(1)
        bare.verify(1)
        bare.apply(1)
        bare.rollback(1)
        assert state(bare.connection) == found


def test_storage_protects_its_rows_again_afterwards(bare: Scratch) -> None:
    with bare.connection.transaction(force_rollback=True):
        bare.apply(1)
        bare.rollback(1)
        setting = bare.connection.execute("SELECT current_setting('storage.allow_delete_query', true)").fetchone()
    assert setting == ("",)


# ------------------------------------------------------------------ in order


def test_out_of_order_it_names_the_phase_to_roll_back_first(
    bare: Scratch, number: int, later: int, later_step: str
) -> None:
    """Whatever there is of a later phase, if only what a single step has made."""
    with bare.connection.transaction(force_rollback=True):
        if number == 1 or later == 3:
            bare.apply(1)
        (path,) = (step.path for step in bare.phases[later].steps if str(step) == later_step)
        bare.execute(path)
        found = state(bare.connection)
        with pytest.raises(SqlError, match=f"roll back phase {later} first") as stopped:
            bare.rollback(number)
        assert stopped.value.sqlstate == "55000"
        assert state(bare.connection) == found


@pytest.mark.parametrize("number", [1, 2, 3], ids="phase {}".format)
def test_of_several_later_phases_the_last_is_named(migrated: Scratch, number: int) -> None:
    with pytest.raises(SqlError, match=f"phase {number} cannot be rolled back .* roll back phase 4 first"):
        migrated.rollback(number)


# ------------------------------------------------------------------ rows that it would destroy

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


def down_to(scratch: Scratch, number: int) -> None:
    """Roll the later phases back, rows and all; the settings of their scripts end with their own transaction."""
    scratch.connection.execute(DISCARD)
    for later in range(4, number, -1):
        scratch.rollback(later)
    scratch.connection.execute("SET LOCAL enorae.discard_data = ''; SET LOCAL row_security = on")


@pytest.mark.parametrize("number", [1, 3], ids="phase {}".format)
def test_it_stops_and_says_how_many_rows_each_table_would_lose(migrated: Scratch, world: World, number: int) -> None:
    expected = [f"{name}: {rows_to_lose(world, table)}" for table, (phase, name) in COUNTED.items() if phase == number]
    assert expected
    with migrated.connection.transaction(force_rollback=True):
        down_to(migrated, number)
        there = rows(migrated.connection, tables(migrated.connection))
        with pytest.raises(SqlError, match="would destroy rows") as stopped:
            migrated.rollback(number)
        assert rows(migrated.connection, tables(migrated.connection)) == there
        migrated.verify(number)
    assert stopped.value.sqlstate == "55000"
    said = str(stopped.value).splitlines()
    assert [line.removesuffix(" (55000)") for line in said if line.removesuffix(" (55000)") in expected] == expected
    assert "SET enorae.discard_data = 'on'" in str(stopped.value)


@pytest.mark.parametrize("table", COUNTED)
def test_the_rows_of_one_table_are_enough_to_stop_it(bare: Scratch, world: World, table: str) -> None:
    number, name = COUNTED[table]
    with bare.connection.transaction(force_rollback=True):
        bare.apply(1, number)
        for each, _, row in world:
            if each == table or each not in COUNTED:
                bare.connection.execute(insert(each, row))
        with pytest.raises(SqlError) as stopped:
            bare.rollback(number)
    said = f"would destroy rows:\n{name}: {rows_to_lose(world, table)} (55000)\n"
    assert said in str(stopped.value)


@pytest.mark.parametrize("value", ["off", "", "true", "ON", "1"])
def test_no_other_word_than_on_discards_rows(migrated: Scratch, value: str) -> None:
    with migrated.connection.transaction(force_rollback=True):
        down_to(migrated, 3)
        migrated.connection.execute("SELECT set_config('enorae.discard_data', %s, true)", [value])
        with pytest.raises(SqlError, match="would destroy rows"):
            migrated.rollback(3)


def test_with_discard_data_on_all_of_it_goes_and_no_row_besides(migrated: Scratch, bare: Scratch, world: World) -> None:
    there = tables(bare.connection)
    with migrated.connection.transaction(force_rollback=True):
        before = rows(migrated.connection, there)
        down_to(migrated, 0)
        after = rows(migrated.connection, there)
        assert state(migrated.connection)[:2] == state(bare.connection)[:2]
    lost = {table: len(before[table]) - len(after[table]) for table in there if before[table] != after[table]}
    assert lost == {"storage.objects": rows_to_lose(world, "storage.objects"), "storage.buckets": 1}


@pytest.mark.parametrize(
    ("number", "owner_of_another"), [(1, "supabase_storage_admin"), (3, None)], ids=["phase 1", "phase 3"]
)
def test_a_role_that_would_see_too_few_rows_counts_none(
    migrated: Scratch, number: int, owner_of_another: str | None
) -> None:
    with migrated.connection.transaction(force_rollback=True):
        down_to(migrated, number)
        role = sql.Identifier(migrated.role or "")
        migrated.connection.execute(sql.SQL("ALTER ROLE {} NOBYPASSRLS").format(role))
        if owner_of_another:
            other = sql.Identifier(owner_of_another)
            migrated.connection.execute(sql.SQL("REVOKE {} FROM {}").format(other, role))
        else:  # the table is its own, whose policies it passes by
            migrated.connection.execute("ALTER TABLE catalog.service_booking_rules FORCE ROW LEVEL SECURITY")
        migrated.connection.execute(DISCARD)
        with pytest.raises(SqlError, match="would be affected by row-level security policy") as stopped:
            migrated.rollback(number)
    assert stopped.value.sqlstate == "42501"


# ------------------------------------------------------------------ what a stranger has built on it


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
def test_what_somebody_built_on_it_stops_it(migrated: Scratch, number: int, statement: str) -> None:
    with migrated.connection.transaction(force_rollback=True):
        down_to(migrated, number)
        migrated.connection.execute(statement.encode())
        found = state(migrated.connection)
        migrated.connection.execute(DISCARD)
        with pytest.raises(SqlError, match="other objects depend on it") as stopped:
            migrated.rollback(number)
        assert state(migrated.connection) == found
    assert stopped.value.sqlstate == "2BP01"
    assert "stray" in str(stopped.value)
