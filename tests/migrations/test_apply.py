"""The steps apply to a new database and again, in any useful order, and a failed step leaves nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from rolecall.catalog.manifest import Manifest
from rolecall.database.scratch import Scratch
from rolecall.errors import SqlError
from rolecall.sql.files import statements
from tests.migrations.helpers import change_defaults, each_regime

PHASES = (1, 2, 3, 4)
DIVISION_BY_ZERO = "SELECT 1 / 0;\n"


@pytest.fixture(scope="module")
def full_dump(module_scratch: Callable[..., Scratch]) -> str:
    """The schema after all steps, each run once."""
    return module_scratch(migrated=True).dump()


@pytest.mark.rolecall_pin
def test_the_migrations_create_the_objects_of_the_plan(manifest: Manifest) -> None:
    counts = Counter(item.kind for item in manifest.added)
    details = Counter(item.detail for item in manifest.of_kind("constraint"))
    on_storage = [item.name for item in manifest.of_kind("policy") if item.owner == "storage.objects"]
    assert (counts["table"], counts["view"], counts["function"]) == (5, 7, 8)
    assert (counts["policy"], len(on_storage)) == (26, 4)
    assert counts["index"] + counts["unique"] == 24
    assert (details["check"], details["foreign key"], details["primary key"]) == (13, 16, 5)


COMMENTS = {
    "communication.send_notification": "Send a notification to a user. Returns created notification as JSON.",
    "communication.mark_notifications_read": "Mark user notifications as read. Returns count of updated notifications.",
    "communication.get_unread_count": "Get count of unread notifications for a user.",
    "communication.get_unread_counts": "Get unread notification counts grouped by type.",
    "communication.get_notifications_page": "Get paginated list of user notifications, most recent first.",
    "scheduling.calculate_business_hours": "Get business hours for a salon on a specific date.",
    "catalog.calculate_duration_minutes": "Calculate total duration in minutes for a list of service IDs.",
    "audit.audit_logs_view": "Read-optimized view of audit logs with actor profile information.",
    "engagement.salon_reviews_with_counts_view": "Salon reviews with aggregated statistics (counts, average rating).",
    "scheduling.view_blocked_times_with_relations": "Blocked times with related staff and appointment information.",
    "communication.view_notifications": "User notifications with recipient profile information.",
    "identity.view_profile_metadata": "User profiles with extracted and computed metadata fields.",
    "identity.view_user_preferences": "User preferences extracted from profile metadata for easy querying.",
}


@pytest.mark.rolecall_pin
def test_the_comments_are_those_of_the_plan(bare: Scratch, migrated: Scratch) -> None:
    query = """
        SELECT COALESCE(p.oid::regproc::text, c.oid::regclass::text), description
        FROM pg_description
        LEFT JOIN pg_proc AS p ON p.oid = objoid AND classoid = 'pg_proc'::regclass
        LEFT JOIN pg_class AS c ON c.oid = objoid AND classoid = 'pg_class'::regclass
        WHERE COALESCE(pronamespace, relnamespace)::regnamespace::text !~ '^(pg_|information_schema)'
    """
    before: dict[str, str] = dict(bare.connection.execute(query).fetchall())
    assert dict(migrated.connection.execute(query).fetchall()) == before | COMMENTS


@pytest.mark.rolecall_pin
def test_the_languages_are_those_of_the_plan_but_for_three_functions(migrated: Scratch) -> None:
    """These three have to raise errors, which SQL cannot (F119)."""
    languages = migrated.connection.execute(
        "SELECT DISTINCT lanname FROM pg_proc JOIN pg_language AS l ON l.oid = prolang "
        "WHERE pronamespace::regnamespace::text IN ('audit', 'catalog', 'communication', 'scheduling')"
    ).fetchall()
    assert languages == [("plpgsql",)]


# ------------------------------------------------------------------ order


@pytest.mark.rolecall_pin
@each_regime
@pytest.mark.parametrize("number", PHASES, ids="phase {}".format)
def test_a_phase_applies_alone_except_3_after_1(bare: Scratch, number: int, regime: str) -> None:
    with bare.connection.transaction(force_rollback=True):
        change_defaults(bare, regime)
        if number == 3:
            bare.apply(1)
        bare.apply(number)
        bare.verify(number)


def test_phase_3_alone_asks_for_phase_1(bare: Scratch) -> None:
    with (
        bare.connection.transaction(force_rollback=True),
        pytest.raises(SqlError, match=r"audit\.audit_logs does not exist: apply phase 1 first") as excinfo,
    ):
        bare.apply(3)
    assert excinfo.value.sqlstate == "42P01"


def test_phase_3_repairs_the_grants_of_the_audit_view(migrated: Scratch) -> None:
    with migrated.connection.transaction(force_rollback=True):
        migrated.connection.execute("GRANT ALL ON audit.audit_logs_view TO anon, authenticated")
        migrated.apply(3)
        migrated.verify(3)


def test_the_order_of_the_other_phases_does_not_matter(scratch: Callable[..., Scratch], full_dump: str) -> None:
    database = scratch()
    database.apply(4, 2, 1, 3)
    assert database.dump() == full_dump


@pytest.mark.rolecall_pin
@pytest.mark.parametrize(
    "path",
    ["", "audit, catalog, communication, engagement, identity, organization, scheduling, storage, auth"],
    ids=["empty", "all schemas"],
)
def test_the_search_path_does_not_matter(bare: Scratch, path: str) -> None:
    with bare.connection.transaction(force_rollback=True):
        bare.connection.execute("SELECT set_config('search_path', %s, true)", [path])
        bare.apply()
        for number in PHASES:
            bare.verify(number)


# ------------------------------------------------------------------ repetition and failure


@pytest.mark.parametrize("number", PHASES, ids="phase {}".format)
def test_a_phase_applied_again_changes_nothing(scratch: Callable[..., Scratch], full_dump: str, number: int) -> None:
    database = scratch(migrated=True)
    database.apply(number)
    assert database.dump() == full_dump


def test_each_step_can_run_twice(scratch: Callable[..., Scratch], full_dump: str) -> None:
    database = scratch()
    for phase in database.phases.values():
        for step in phase.steps:
            database.execute(step.path)
            database.execute(step.path)
    assert database.dump() == full_dump


def test_what_phase_1_made_is_noted_once(migrated: Scratch) -> None:
    """Also if somebody takes it back by hand, and the steps run again."""
    noted = "SELECT obj_description('audit'::regnamespace, 'pg_namespace')"
    before = migrated.connection.execute(noted).fetchone()
    assert "granted usage on schema audit to authenticated" in str(before)
    assert "made bucket avatars" in str(before)
    migrated.connection.execute("REVOKE USAGE ON SCHEMA audit FROM authenticated")
    migrated.connection.execute("SET LOCAL storage.allow_delete_query = 'true'")
    migrated.connection.execute("DELETE FROM storage.objects")
    migrated.connection.execute("DELETE FROM storage.buckets")
    migrated.apply(1)
    migrated.verify(1)
    assert migrated.connection.execute(noted).fetchone() == before


@pytest.mark.parametrize("number", PHASES, ids="phase {}".format)
def test_a_failed_step_leaves_nothing(scratch: Callable[..., Scratch], number: int, tmp_path: Path) -> None:
    database = scratch()
    if number == 3:
        database.apply(1)
    before = database.dump()
    for step in database.phases[number].steps:
        text = step.path.read_text(encoding="utf-8")
        starts = [statement.start for statement in statements(text)]
        for end in (starts[len(starts) // 2], len(text)):
            failing_step = tmp_path / step.path.name
            failing_step.write_text(text[:end] + DIVISION_BY_ZERO, encoding="utf-8")
            with pytest.raises(SqlError) as excinfo:
                database.execute(failing_step)
            assert excinfo.value.sqlstate == "22012"
    assert database.dump() == before
