"""verify.sql is silent while its phase stands, whatever came later, and otherwise names what is missing.

That it notices every single change is in test_sabotage.py.
"""

from __future__ import annotations

import re

import pytest
from psycopg import sql

from rolecall.database.scratch import Scratch
from rolecall.errors import SqlError

PHASES = (1, 2, 3, 4)

# What each phase makes, as its verify.sql names it.
MADE = {
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


def complaint(scratch: Scratch, number: int) -> str:
    """What a phase's verify.sql says when it stops."""
    with pytest.raises(SqlError) as stopped:
        scratch.verify(number)
    assert f"phase {number} is not as it should be" in str(stopped.value)
    return str(stopped.value)


# ------------------------------------------------------------------ all is well


@pytest.mark.parametrize("regime", ["REVOKE ALL ON {} FROM {}", "GRANT ALL ON {} TO {}"], ids=["strict", "permissive"])
def test_it_passes_after_its_phase_and_every_later_one_and_once_more(bare: Scratch, regime: str) -> None:
    assert bare.role
    with bare.connection.transaction(force_rollback=True):
        for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):
            change = regime.format(kind, "anon, authenticated, service_role")
            defaults = sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} ").format(sql.Identifier(bare.role)).as_string()
            bare.connection.execute((defaults + change).encode())
        for number in (*PHASES, *PHASES):
            bare.apply(number)
            for applied in range(1, number + 1):
                bare.verify(applied)


@pytest.mark.parametrize("number", PHASES, ids="phase {}".format)
def test_it_says_nothing(migrated: Scratch, number: int) -> None:
    said: list[str | None] = []
    migrated.connection.add_notice_handler(lambda notice: said.append(notice.message_primary))
    migrated.verify(number)
    assert said == []


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
def test_it_does_not_depend_on_who_asks_and_from_where(migrated: Scratch, number: int, path: str) -> None:
    with migrated.connection.transaction(force_rollback=True):
        migrated.connection.execute("SELECT set_config('search_path', %s, true)", [path])
        migrated.connection.execute(migrated.phases[number].verify.path.read_bytes())  # as the superuser
        migrated.verify(number)


@pytest.mark.parametrize(
    "addition",
    [
        pytest.param("CREATE INDEX another ON audit.audit_logs (reason)", id="an index of their own"),
        pytest.param("GRANT SELECT ON audit.audit_logs TO authenticator", id="a grant to another role"),
        pytest.param("INSERT INTO storage.buckets (id, name) VALUES ('logos', 'logos')", id="another bucket"),
        pytest.param("CREATE POLICY logos ON storage.objects USING (bucket_id = 'logos')", id="a policy for it"),
        pytest.param("CREATE VIEW audit.mine AS SELECT id FROM audit.audit_logs", id="a view of their own"),
        pytest.param("UPDATE storage.buckets SET allowed_mime_types = '{image/png}'", id="only pictures in the bucket"),
    ],
)
def test_what_a_team_adds_beside_it_does_not_matter(migrated: Scratch, addition: str) -> None:
    with migrated.connection.transaction(force_rollback=True):
        migrated.connection.execute(addition.encode())
        for number in PHASES:
            migrated.verify(number)


# ------------------------------------------------------------------ all is gone


@pytest.mark.parametrize("number", PHASES, ids="phase {}".format)
def test_before_its_phase_and_after_its_rollback_it_names_everything(bare: Scratch, number: int) -> None:
    with bare.connection.transaction(force_rollback=True):
        for earlier in range(1, number):
            bare.apply(earlier)
        before = complaint(bare, number)
        bare.apply(number)
        bare.rollback(number)
        after = complaint(bare, number)
    named = set(re.findall(r"^- (.+?): ", before, re.MULTILINE))
    assert {name for name in named if not name.startswith("schema ")} == MADE[number]
    assert after == before


def test_phase_1_names_the_schemas_that_it_has_not_opened_yet(bare: Scratch) -> None:
    with bare.connection.transaction(force_rollback=True):
        bare.connection.execute("REVOKE USAGE ON SCHEMA audit, identity FROM authenticated, service_role")
        said = complaint(bare, 1)
    assert {"audit", "identity"} <= set(re.findall(r"^- schema (\w+): usage: ", said, re.MULTILINE))
