"""verify.sql passes silently after its phase and later ones; otherwise it names what is missing.

test_sabotage.py tests that it notices every single change.
"""

from __future__ import annotations

import re

import pytest

from rolecall.database.scratch import Scratch
from rolecall.errors import SqlError
from tests.migrations.helpers import change_defaults, each_regime

PHASES = (1, 2, 3, 4)

# The objects of each phase, as its verify.sql names them.
OBJECTS = {
    1: {
        "scheduling.appointment_services",
        "scheduling.keep_appointment_service_in_its_salon",
        "communication.message_threads",
        "communication.soft_delete_thread",
        "communication.keep_thread_participants",
        "engagement.customer_favorites",
        "engagement.customer_favorites_view",
        "audit.audit_logs",
        "audit.audit_logs_view",
        "audit.log_action",
        "storage.objects",
        "bucket avatars",
    },
    2: {
        "communication.send_notification",
        "communication.mark_notifications_read",
        "communication.get_unread_count",
        "communication.get_unread_counts",
        "communication.get_notifications_page",
        "scheduling.calculate_business_hours",
        "catalog.calculate_duration_minutes",
    },
    3: {"audit.audit_logs_view", "engagement.salon_reviews_with_counts_view", "catalog.service_booking_rules"},
    4: {
        "scheduling.view_blocked_times_with_relations",
        "communication.view_notifications",
        "identity.view_profile_metadata",
        "identity.view_user_preferences",
    },
}


def verify_message(scratch: Scratch, number: int) -> str:
    """The error of a phase's verify.sql, which must fail."""
    with pytest.raises(SqlError) as excinfo:
        scratch.verify(number)
    assert f"phase {number} differs from what its steps create" in str(excinfo.value)
    return str(excinfo.value)


# ------------------------------------------------------------------ it passes


@pytest.mark.rolecall_pin
@each_regime
def test_it_passes_after_its_phase_and_later_ones(bare: Scratch, regime: str) -> None:
    with bare.connection.transaction(force_rollback=True):
        change_defaults(bare, regime)
        for number in (*PHASES, *PHASES):
            bare.apply(number)
            for applied in range(1, number + 1):
                bare.verify(applied)


@pytest.mark.parametrize("number", PHASES, ids="phase {}".format)
def test_it_prints_nothing(migrated: Scratch, number: int) -> None:
    notices: list[str | None] = []
    migrated.connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    migrated.verify(number)
    assert notices == []


@pytest.mark.parametrize("number", PHASES, ids="phase {}".format)
def test_it_only_reads(migrated: Scratch, number: int) -> None:
    with migrated.connection.transaction():
        migrated.connection.execute("SET TRANSACTION READ ONLY")
        migrated.verify(number)


@pytest.mark.parametrize("number", PHASES, ids="phase {}".format)
@pytest.mark.parametrize(
    "path",
    ["", "audit, catalog, communication, engagement, identity, organization, scheduling, storage, auth, pg_catalog"],
    ids=["nothing on the search path", "everything on the search path"],
)
def test_it_does_not_depend_on_role_or_search_path(migrated: Scratch, number: int, path: str) -> None:
    with migrated.connection.transaction(force_rollback=True):
        migrated.connection.execute("SELECT set_config('search_path', %s, true)", [path])
        migrated.connection.execute(migrated.phases[number].verify.path.read_bytes())  # as the superuser
        assert migrated.connection.execute("SELECT current_setting('search_path')").fetchone() == (path,)
        migrated.verify(number)


@pytest.mark.parametrize("number", [2, 3, 4], ids="phase {}".format)
def test_it_needs_no_select_privilege_without_a_bucket(migrated: Scratch, number: int) -> None:
    with migrated.connection.transaction(force_rollback=True):
        migrated.connection.execute("SET LOCAL ROLE pg_monitor")
        migrated.connection.execute(migrated.phases[number].verify.path.read_bytes())


def test_windows_line_ends_work(bare: Scratch) -> None:
    with bare.connection.transaction(force_rollback=True):
        for phase in bare.phases.values():
            for path in (*(step.path for step in phase.steps), phase.verify.path):
                bare.connection.execute(re.sub(rb"\r?\n", b"\r\n", path.read_bytes()))


@pytest.mark.parametrize(
    "addition",
    [
        pytest.param("CREATE INDEX another ON audit.audit_logs (reason)", id="another index"),
        pytest.param("GRANT SELECT ON audit.audit_logs TO authenticator", id="a grant to another role"),
        pytest.param("CREATE ROLE team; ALTER TABLE audit.audit_logs OWNER TO team", id="another owner"),
        pytest.param("GRANT USAGE ON SCHEMA audit TO anon, PUBLIC", id="who may use a schema"),
        pytest.param("GRANT CREATE ON SCHEMA audit TO service_role", id="the service may create in a schema"),
        pytest.param("ALTER FUNCTION audit.log_action COST 7", id="the cost of a function"),
        pytest.param("COMMENT ON COLUMN audit.audit_logs.reason IS 'Mine.'", id="a comment on a column"),
        pytest.param("INSERT INTO storage.buckets (id, name) VALUES ('logos', 'logos')", id="another bucket"),
        pytest.param("CREATE POLICY logos ON storage.objects USING (bucket_id = 'logos')", id="a policy for it"),
        pytest.param("CREATE VIEW audit.mine AS SELECT id FROM audit.audit_logs", id="another view"),
        pytest.param(
            "ALTER TABLE audit.audit_logs ADD mine text; ALTER TABLE audit.audit_logs DROP mine",
            id="a column that is gone again",
        ),
        pytest.param("UPDATE storage.buckets SET allowed_mime_types = '{image/png}'", id="only pictures in the bucket"),
    ],
)
def test_additional_objects_do_not_matter(migrated: Scratch, addition: str) -> None:
    with migrated.connection.transaction(force_rollback=True):
        migrated.connection.execute(addition.encode())
        for number in PHASES:
            migrated.verify(number)


# ------------------------------------------------------------------ it names differences


def test_it_names_every_difference(migrated: Scratch) -> None:
    changes = """
        ALTER TABLE audit.audit_logs ALTER metadata DROP DEFAULT, DISABLE ROW LEVEL SECURITY;
        GRANT SELECT (id) ON audit.audit_logs TO anon;
        UPDATE storage.buckets SET file_size_limit = NULL;
        DROP VIEW audit.audit_logs_view;
    """
    with migrated.connection.transaction(force_rollback=True):
        migrated.connection.execute(changes.encode())
        message = verify_message(migrated, 1)
    assert re.findall(r"^- (.*?)(?: \(P0001\))?$", message, re.MULTILINE) == [
        "audit.audit_logs: column 14: expected metadata jsonb DEFAULT '{}'::jsonb, found metadata jsonb",
        "audit.audit_logs: grants to anon: expected none, found SELECT (id)",
        "audit.audit_logs: row level security: expected on, found none",
        "audit.audit_logs_view: kind: expected view, found none",
        "bucket avatars: file_size_limit: expected 5242880, found none",
    ]


def test_it_reports_two_functions_of_one_name(migrated: Scratch) -> None:
    with migrated.connection.transaction(force_rollback=True):
        migrated.connection.execute("CREATE FUNCTION audit.log_action() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        message = verify_message(migrated, 1)
    assert message.count("- audit.log_action: kind: expected function, found 2 functions of this name\n") == 1


# ------------------------------------------------------------------ it names everything


@pytest.mark.parametrize("number", PHASES, ids="phase {}".format)
def test_it_names_everything_before_its_phase_and_after_its_rollback(bare: Scratch, number: int) -> None:
    with bare.connection.transaction(force_rollback=True):
        for earlier in range(1, number):
            bare.apply(earlier)
        before = verify_message(bare, number)
        bare.apply(number)
        bare.rollback(number)
        after = verify_message(bare, number)
    names = set(re.findall(r"^- (.+?): ", before, re.MULTILINE))
    assert {name for name in names if not name.startswith("schema ")} == OBJECTS[number]
    assert after == before


def test_phase_1_names_the_schemas_without_usage(bare: Scratch) -> None:
    with bare.connection.transaction(force_rollback=True):
        bare.connection.execute("REVOKE USAGE ON SCHEMA audit, identity FROM authenticated, service_role")
        message = verify_message(bare, 1)
    assert {"audit", "identity"} <= set(re.findall(r"^- schema (\w+): usage: ", message, re.MULTILINE))
