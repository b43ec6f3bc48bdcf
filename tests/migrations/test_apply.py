"""The steps apply from nothing and once more, each in one piece, whatever ran before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg import sql

from rolecall.catalog.manifest import Manifest
from rolecall.database.scratch import Scratch
from rolecall.errors import SqlError
from rolecall.sql.files import statements

PHASES = (1, 2, 3, 4)
DIVISION_BY_ZERO = "SELECT 1 / 0;\n"


@pytest.fixture(scope="module")
def dumped(module_scratch: Callable[..., Scratch]) -> str:
    """The schema that all steps make, each run once."""
    return module_scratch(migrated=True).dump()


def test_the_migrations_make_what_the_plan_counts(manifest: Manifest) -> None:
    made = Counter(item.kind for item in manifest.added)
    details = Counter(item.detail for item in manifest.of_kind("constraint"))
    on_storage = [item.name for item in manifest.of_kind("policy") if item.owner == "storage.objects"]
    assert (made["table"], made["view"], made["function"]) == (5, 7, 8)
    assert (made["policy"], len(on_storage)) == (26, 4)
    assert made["index"] + made["unique"] == 24
    assert (details["check"], details["foreign key"], details["primary key"]) == (13, 16, 5)


# ------------------------------------------------------------------ in any order that makes sense


@pytest.mark.parametrize("regime", ["REVOKE ALL ON {} FROM {}", "GRANT ALL ON {} TO {}"], ids=["strict", "permissive"])
@pytest.mark.parametrize("number", PHASES, ids="phase {}".format)
def test_a_phase_stands_alone_but_3_which_needs_1(bare: Scratch, number: int, regime: str) -> None:
    with bare.connection.transaction(force_rollback=True):
        change_defaults(bare, regime)
        if number == 3:
            bare.apply(1)
        bare.apply(number)
        bare.verify(number)


def change_defaults(scratch: Scratch, regime: str) -> None:
    """Have the default privileges of the migration role give the API's roles everything, or nothing."""
    role = sql.Identifier(scratch.role or "")
    for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):
        change = regime.format(kind, "anon, authenticated, service_role")
        defaults = sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} ").format(role).as_string()
        scratch.connection.execute((defaults + change).encode())


def test_phase_3_alone_stops_and_asks_for_phase_1(bare: Scratch) -> None:
    with (
        bare.connection.transaction(force_rollback=True),
        pytest.raises(SqlError, match=r"audit\.audit_logs does not exist: apply phase 1 first") as stopped,
    ):
        bare.apply(3)
    assert stopped.value.sqlstate == "42P01"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("GRANT ALL ON audit.audit_logs_view TO anon, authenticated", id="its grants"),
        pytest.param("ALTER VIEW audit.audit_logs_view RESET (security_invoker)", id="whom it reads as"),
        pytest.param("COMMENT ON VIEW audit.audit_logs_view IS 'Who did what.'", id="its comment"),
    ],
)
def test_phase_3_makes_the_view_of_the_logs_what_it_is_meant_to_be(migrated: Scratch, change: str) -> None:
    with migrated.connection.transaction(force_rollback=True):
        migrated.connection.execute(change.encode())
        migrated.apply(3)
        migrated.verify(3)


def test_in_what_order_the_others_come_does_not_matter(scratch: Callable[..., Scratch], dumped: str) -> None:
    other = scratch()
    other.apply(4, 2, 1, 3)
    assert other.dump() == dumped


@pytest.mark.parametrize(
    "path",
    ["", "audit, catalog, communication, engagement, identity, organization, scheduling, storage, auth"],
    ids=["nothing on it", "everything on it"],
)
def test_the_search_path_does_not_matter(bare: Scratch, path: str) -> None:
    with bare.connection.transaction(force_rollback=True):
        bare.connection.execute("SELECT set_config('search_path', %s, true)", [path])
        bare.apply()
        for number in PHASES:
            bare.verify(number)


# ------------------------------------------------------------------ again, and in one piece


@pytest.mark.parametrize("number", PHASES, ids="phase {}".format)
def test_a_phase_applied_again_changes_nothing(scratch: Callable[..., Scratch], dumped: str, number: int) -> None:
    again = scratch(migrated=True)
    again.apply(number)
    assert again.dump() == dumped


def test_each_step_twice_in_a_row_is_as_good_as_once(scratch: Callable[..., Scratch], dumped: str) -> None:
    twice = scratch()
    for phase in twice.phases.values():
        for step in phase.steps:
            twice.execute(step.path)
            twice.execute(step.path)
    assert twice.dump() == dumped


@pytest.mark.parametrize("number", PHASES, ids="phase {}".format)
def test_a_step_that_fails_halfway_or_at_its_end_leaves_nothing_behind(
    scratch: Callable[..., Scratch], number: int, tmp_path: Path
) -> None:
    unlucky = scratch()
    if number == 3:
        unlucky.apply(1)
    before = unlucky.dump()
    for step in unlucky.phases[number].steps:
        text = step.path.read_text(encoding="utf-8")
        starts = [statement.start for statement in statements(text)]
        for end in (starts[len(starts) // 2], len(text)):
            broken = tmp_path / step.path.name
            broken.write_text(text[:end] + DIVISION_BY_ZERO, encoding="utf-8")
            with pytest.raises(SqlError) as stopped:
                unlucky.execute(broken)
            assert stopped.value.sqlstate == "22012"
    assert unlucky.dump() == before
