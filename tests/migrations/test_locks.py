"""A migration does not block a live application for long: the locks of each step, and its lock timeout.

A foreign key needs SHARE ROW EXCLUSIVE on the table that it refers to: reads continue, writes wait for the end of the
step. Only CREATE POLICY on storage.objects needs more: ACCESS EXCLUSIVE, which cannot be avoided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import postgast
import pytest
from psycopg import Connection

from rolecall.database.scratch import Scratch
from rolecall.errors import SqlError
from rolecall.settings import read as read_settings
from rolecall.sql.migrations import Phase, Step, read

# Modes that block neither reads nor writes.
MILD = {"AccessShareLock", "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock"}
FOREIGN_KEY = "ShareRowExclusiveLock"
STRONG = {
    "1.1 appointment_services": {
        "scheduling.appointments": FOREIGN_KEY,
        "catalog.services": FOREIGN_KEY,
        "organization.staff_profiles": FOREIGN_KEY,
        "identity.profiles": FOREIGN_KEY,
    },
    "1.2 message_threads": {
        "identity.profiles": FOREIGN_KEY,
        "organization.salons": FOREIGN_KEY,
        "scheduling.appointments": FOREIGN_KEY,
    },
    "1.3 customer_favorites": {"identity.profiles": FOREIGN_KEY, "organization.salons": FOREIGN_KEY},
    "1.4 audit_logs": {"identity.profiles": FOREIGN_KEY},
    "1.5 avatars_bucket": {"storage.objects": "AccessExclusiveLock"},
    "3.3 service_booking_rules": {"catalog.services": FOREIGN_KEY, "organization.salons": FOREIGN_KEY},
}
# The step looks for the bucket in a table with few rows.
SCANNED = {"1.5 avatars_bucket": {"storage.buckets"}}


class Trace(NamedTuple):
    """What a step did to the existing tables, at the end of its transaction."""

    locks: set[tuple[str, str]]
    scanned: set[str]
    rewritten: set[str]
    lock_timeout: str


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each step of the migrations under test."""
    folder = read_settings(metafunc.config).migrations
    assert folder
    if "traced_step" in metafunc.fixturenames:
        metafunc.parametrize("traced_step", [str(step) for phase in read(folder) for step in phase.steps])
    if "changing_file" in metafunc.fixturenames:
        metafunc.parametrize("changing_file", changing_files(read(folder)))


def changing_files(phases: Iterable[Phase]) -> dict[str, Path]:
    """Every step and rollback, by its name."""
    files: dict[str, Path] = {}
    for phase in phases:
        files |= {str(step): step.path for step in phase.steps} | {f"phase {phase.number} back": phase.rollback.path}
    return files


@pytest.fixture(scope="module")
def traces(module_scratch: Callable[..., Scratch]) -> dict[str, Trace]:
    """The traces of all steps. Each step runs in its own transaction, after the earlier ones."""
    scratch = module_scratch()
    return {str(step): trace(scratch, step) for step in every_step(scratch)}


def trace(scratch: Scratch, step: Step) -> Trace:
    connection = scratch.connection
    files, scans = files_of_tables(connection), scans_of_tables(connection)
    with connection.transaction():
        scratch.execute(step.path)
        locks = connection.execute(
            """
            SELECT relation::regclass::text, mode FROM pg_locks
            WHERE pid = pg_backend_pid() AND relation::regclass::text = ANY (%s)
            """,
            [list(scans)],
        )
        scanned = {name for name, count in scans_of_tables(connection).items() if count > scans.get(name, count)}
        after = files_of_tables(connection)
        rewritten = {name for name in files if files[name] != after[name]}
        return Trace(set(locks), scanned, rewritten, lock_timeout(connection, step))


def lock_timeout(connection: Connection[Any], step: Step) -> str:
    """The setting at the end of the step. rolecall resets it after a file, so this runs the text itself."""
    with connection.transaction(force_rollback=True):
        connection.execute(step.path.read_bytes())
        ((timeout,),) = connection.execute("SELECT current_setting('lock_timeout')").fetchall()
        return str(timeout)


def every_step(scratch: Scratch) -> list[Step]:
    return [step for phase in scratch.phases.values() for step in phase.steps]


def files_of_tables(connection: Connection[Any]) -> dict[str, int]:
    """The file of each table and index: a rewrite changes it."""
    rows = connection.execute(
        """
        SELECT c.oid::regclass::text, pg_relation_filenode(c.oid)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE relkind IN ('r', 'i') AND nspname !~ '^(pg_|information_schema)'
        """
    )
    return dict(rows.fetchall())


def scans_of_tables(connection: Connection[Any]) -> dict[str, int]:
    """The number of sequential and index scans of this session, by table."""
    rows = connection.execute(
        "SELECT relid::regclass::text, seq_scan + coalesce(idx_scan, 0) FROM pg_stat_xact_user_tables"
    )
    return dict(rows.fetchall())


# ------------------------------------------------------------------ locks


def test_a_step_takes_only_the_listed_locks_on_existing_tables(traces: dict[str, Trace], traced_step: str) -> None:
    strong = {(table, mode) for table, mode in traces[traced_step].locks if mode not in MILD}
    assert strong == set(STRONG.get(traced_step, {}).items())


def test_a_step_scans_no_existing_table(traces: dict[str, Trace], traced_step: str) -> None:
    assert traces[traced_step].scanned == SCANNED.get(traced_step, set())


def test_a_step_rewrites_no_existing_table(traces: dict[str, Trace], traced_step: str) -> None:
    assert traces[traced_step].rewritten == set()


def test_all_steps_were_traced(traces: dict[str, Trace]) -> None:
    assert traces.keys() > STRONG.keys()
    assert ("organization.salons", "AccessShareLock") in traces["1.3 customer_favorites"].locks


# ------------------------------------------------------------------ lock timeout


def test_each_step_and_rollback_sets_lock_timeout_first(phases: dict[int, Phase], changing_file: str) -> None:
    path = changing_files(phases.values())[changing_file]
    first = postgast.parse(path.read_text(encoding="utf-8")).stmts[0].stmt.variable_set_stmt
    assert (first.name, first.is_local) == ("lock_timeout", True)
    assert first.args[0].a_const.sval.sval == "5s"


def test_a_step_waits_at_most_five_seconds(traces: dict[str, Trace], traced_step: str) -> None:
    assert traces[traced_step].lock_timeout == "5s"


def with_short_timeout(path: Path, folder: Path) -> Path:
    """A copy of a file with a lock timeout of a millisecond."""
    text = path.read_text(encoding="utf-8")
    assert text.count("lock_timeout = '5s'") == 1
    copy = folder / path.name
    copy.write_text(text.replace("lock_timeout = '5s'", "lock_timeout = '1ms'"), encoding="utf-8")
    return copy


@pytest.mark.parametrize(
    ("step", "table"),
    [
        ("1.1 appointment_services", "scheduling.appointments"),
        ("1.2 message_threads", "identity.profiles"),
        ("1.3 customer_favorites", "organization.salons"),
        ("1.4 audit_logs", "identity.profiles"),
        ("1.5 avatars_bucket", "storage.objects"),
        ("2.2.1 calculate_business_hours", "scheduling.operating_hours"),
        ("2.2.2 calculate_duration_minutes", "catalog.services"),
        ("3.2 salon_reviews_with_counts_view", "engagement.salon_reviews"),
        ("3.3 service_booking_rules", "catalog.services"),
        ("4.1 view_blocked_times_with_relations", "scheduling.blocked_times"),
        ("4.2 view_notifications", "communication.notifications"),
        ("4.3 view_profile_metadata", "identity.profiles"),
        ("4.4 view_user_preferences", "identity.profiles"),
    ],
)
def test_a_step_times_out_at_a_locked_table(bare: Scratch, step: str, table: str, tmp_path: Path) -> None:
    (path,) = (each.path for each in every_step(bare) if str(each) == step)
    with bare.run.connect(bare.name) as other, other.transaction(force_rollback=True):
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        with pytest.raises(SqlError, match="canceling statement due to lock timeout") as excinfo:
            bare.execute(with_short_timeout(path, tmp_path))
    assert excinfo.value.sqlstate == "55P03"


def test_a_long_read_blocks_only_the_policies_on_storage_objects(bare: Scratch, tmp_path: Path) -> None:
    with bare.run.connect(bare.name) as reader, reader.transaction(force_rollback=True):
        statements = reader.execute(
            "SELECT format('LOCK TABLE %I.%I IN ACCESS SHARE MODE', schemaname, tablename) "
            "FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema)'"
        ).fetchall()
        assert len(statements) > 9
        for (statement,) in statements:
            reader.execute(statement.encode())
        timeouts = []
        with bare.connection.transaction(force_rollback=True):
            for step in every_step(bare):
                try:
                    bare.execute(with_short_timeout(step.path, tmp_path))
                except SqlError as error:
                    timeouts.append((str(step), error.sqlstate))
    assert timeouts == [("1.5 avatars_bucket", "55P03")]


@pytest.mark.parametrize(
    ("number", "statement"),
    [
        pytest.param(1, "SELECT FROM storage.objects", id="phase 1, a read of pictures"),
        pytest.param(1, "SELECT FROM audit.audit_logs_view", id="phase 1, a read of the log"),
        pytest.param(3, "SELECT FROM engagement.salon_reviews_with_counts_view", id="phase 3, a read of reviews"),
        pytest.param(4, "SELECT FROM identity.view_user_preferences", id="phase 4, a read of preferences"),
    ],
)
def test_a_rollback_times_out_while_its_objects_are_read(
    migrated: Scratch, number: int, statement: str, tmp_path: Path
) -> None:
    timeout_of_rollback(migrated, number, statement, tmp_path)


@pytest.mark.parametrize(
    ("number", "statement", "where"),
    [
        (1, "LOCK TABLE scheduling.appointment_services IN ROW EXCLUSIVE MODE", "LOCK TABLE"),
        (1, "LOCK TABLE communication.message_threads IN ROW EXCLUSIVE MODE", "LOCK TABLE"),
        (1, "LOCK TABLE engagement.customer_favorites IN ROW EXCLUSIVE MODE", "LOCK TABLE"),
        (1, "LOCK TABLE audit.audit_logs IN ROW EXCLUSIVE MODE", "LOCK TABLE"),
        (1, "INSERT INTO storage.objects (bucket_id, name) VALUES ('avatars', 'new.png')", "FOR UPDATE"),
        (3, "LOCK TABLE catalog.service_booking_rules IN ROW EXCLUSIVE MODE", "LOCK TABLE"),
    ],
    ids=["appointment services", "threads", "favourites", "logs", "pictures", "rules"],
)
def test_a_rollback_waits_for_writers_before_it_counts_rows(
    migrated: Scratch, number: int, statement: str, where: str, tmp_path: Path
) -> None:
    """Otherwise the rollback would not count a row that is not committed yet, and would delete it."""
    assert where in timeout_of_rollback(migrated, number, statement, tmp_path)


def timeout_of_rollback(scratch: Scratch, number: int, statement: str, folder: Path) -> str:
    """The error of a phase's rollback at its lock timeout, while another session runs a statement."""
    with (
        scratch.connection.transaction(force_rollback=True),
        scratch.run.connect(scratch.name) as other,
        other.transaction(force_rollback=True),
    ):
        scratch.connection.execute("SET LOCAL enorae.discard_data = 'on'")
        other.execute(statement.encode())
        for later in range(4, number, -1):
            scratch.rollback(later)
        with pytest.raises(SqlError, match="canceling statement due to lock timeout") as excinfo:
            scratch.execute(with_short_timeout(scratch.phases[number].rollback.path, folder))
    assert excinfo.value.sqlstate == "55P03"
    return str(excinfo.value)
