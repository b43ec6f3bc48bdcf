"""A migration that runs beside the live application stops nobody for long: what each step locks, and how it gives up.

A foreign key needs SHARE ROW EXCLUSIVE on the table that it refers to: its readers go on, its writers wait until
the step is done. Only CREATE POLICY on storage.objects needs more: ACCESS EXCLUSIVE, which cannot be avoided.
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

# Modes that let everybody read and write on.
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
# Whether there is a bucket of the name is asked of a table with a handful of rows.
SCANNED = {"1.5 avatars_bucket": {"storage.buckets"}}


class Trace(NamedTuple):
    """What a step had done to the tables that were there before, at the end of its transaction."""

    locks: set[tuple[str, str]]
    scanned: set[str]
    rewritten: set[str]
    lock_timeout: str


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a step of the migrations that are being tested."""
    folder = read_settings(metafunc.config).migrations
    assert folder
    if "traced_step" in metafunc.fixturenames:
        metafunc.parametrize("traced_step", [str(step) for phase in read(folder) for step in phase.steps])
    if "changing_file" in metafunc.fixturenames:
        metafunc.parametrize("changing_file", changing_files(read(folder)))


def changing_files(phases: Iterable[Phase]) -> dict[str, Path]:
    """Every step and rollback, by its name."""
    named: dict[str, Path] = {}
    for phase in phases:
        named |= {str(step): step.path for step in phase.steps} | {f"phase {phase.number} back": phase.rollback.path}
    return named


@pytest.fixture(scope="module")
def traces(module_scratch: Callable[..., Scratch]) -> dict[str, Trace]:
    """All steps, each in its own transaction, on a database in which the earlier ones have run."""
    scratch = module_scratch()
    return {str(step): traced(scratch, step) for step in every_step(scratch)}


def traced(scratch: Scratch, step: Step) -> Trace:
    connection = scratch.connection
    files, scans = files_of_tables(connection), scans_of_tables(connection)
    with connection.transaction():
        scratch.execute(step.path)
        held = connection.execute(
            """
            SELECT relation::regclass::text, mode FROM pg_locks
            WHERE pid = pg_backend_pid() AND relation::regclass::text = ANY (%s)
            """,
            [list(scans)],
        )
        scanned = {name for name, count in scans_of_tables(connection).items() if count > scans.get(name, count)}
        after = files_of_tables(connection)
        rewritten = {name for name in files if files[name] != after[name]}
        return Trace(set(held), scanned, rewritten, lock_timeout(connection, step))


def lock_timeout(connection: Connection[Any], step: Step) -> str:
    """The setting at the step's end, which rolecall takes back when it runs a file: so the text is run alone."""
    with connection.transaction(force_rollback=True):
        connection.execute(step.path.read_bytes())
        ((timeout,),) = connection.execute("SELECT current_setting('lock_timeout')").fetchall()
        return str(timeout)


def every_step(scratch: Scratch) -> list[Step]:
    return [step for phase in scratch.phases.values() for step in phase.steps]


def files_of_tables(connection: Connection[Any]) -> dict[str, int]:
    """On which file each table and index lies: a rewrite gives it another."""
    found = connection.execute(
        """
        SELECT c.oid::regclass::text, pg_relation_filenode(c.oid)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE relkind IN ('r', 'i') AND nspname !~ '^(pg_|information_schema)'
        """
    )
    return dict(found.fetchall())


def scans_of_tables(connection: Connection[Any]) -> dict[str, int]:
    """How often this session has read each table from end to end, or has looked rows up in its indexes."""
    found = connection.execute(
        "SELECT relid::regclass::text, seq_scan + coalesce(idx_scan, 0) FROM pg_stat_xact_user_tables"
    )
    return dict(found.fetchall())


# ------------------------------------------------------------------ what a step locks


def test_a_step_locks_no_table_that_was_there_more_than_it_must(traces: dict[str, Trace], traced_step: str) -> None:
    strong = {(table, mode) for table, mode in traces[traced_step].locks if mode not in MILD}
    assert strong == set(STRONG.get(traced_step, {}).items())


def test_a_step_reads_no_table_that_was_there(traces: dict[str, Trace], traced_step: str) -> None:
    assert traces[traced_step].scanned == SCANNED.get(traced_step, set())


def test_a_step_rewrites_no_table_that_was_there(traces: dict[str, Trace], traced_step: str) -> None:
    assert traces[traced_step].rewritten == set()


def test_all_steps_were_traced(traces: dict[str, Trace]) -> None:
    assert traces.keys() > STRONG.keys()
    assert ("organization.salons", "AccessShareLock") in traces["1.3 customer_favorites"].locks


# ------------------------------------------------------------------ how it gives up


def test_a_file_that_changes_something_sets_the_timeout_first(phases: dict[int, Phase], changing_file: str) -> None:
    path = changing_files(phases.values())[changing_file]
    first = postgast.parse(path.read_text(encoding="utf-8")).stmts[0].stmt.variable_set_stmt
    assert (first.name, first.is_local) == ("lock_timeout", True)
    assert first.args[0].a_const.sval.sval == "5s"


def test_a_step_waits_five_seconds_and_no_longer(traces: dict[str, Trace], traced_step: str) -> None:
    assert traces[traced_step].lock_timeout == "5s"


def impatient(path: Path, folder: Path) -> Path:
    """A copy of a file that gives up at once."""
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
def test_a_step_gives_up_where_somebody_holds_the_table(bare: Scratch, step: str, table: str, tmp_path: Path) -> None:
    (path,) = (each.path for each in every_step(bare) if str(each) == step)
    with bare.run.connect(bare.name) as somebody, somebody.transaction(force_rollback=True):
        somebody.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        with pytest.raises(SqlError, match="canceling statement due to lock timeout") as stopped:
            bare.execute(impatient(path, tmp_path))
    assert stopped.value.sqlstate == "55P03"


def test_a_long_reader_stops_only_the_policies_on_storage_objects(bare: Scratch, tmp_path: Path) -> None:
    with bare.run.connect(bare.name) as reader, reader.transaction(force_rollback=True):
        found = reader.execute(
            "SELECT format('LOCK TABLE %I.%I IN ACCESS SHARE MODE', schemaname, tablename) "
            "FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema)'"
        ).fetchall()
        assert len(found) > 9
        for (statement,) in found:
            reader.execute(statement.encode())
        stopped = []
        with bare.connection.transaction(force_rollback=True):
            for step in every_step(bare):
                try:
                    bare.execute(impatient(step.path, tmp_path))
                except SqlError as error:
                    stopped.append((str(step), error.sqlstate))
    assert stopped == [("1.5 avatars_bucket", "55P03")]


@pytest.mark.parametrize(
    ("number", "statement"),
    [
        pytest.param(1, "SELECT FROM storage.objects", id="phase 1, pictures being looked at"),
        pytest.param(1, "SELECT FROM audit.audit_logs_view", id="phase 1, logs being read"),
        pytest.param(3, "SELECT FROM engagement.salon_reviews_with_counts_view", id="phase 3, reviews being read"),
        pytest.param(4, "SELECT FROM identity.view_user_preferences", id="phase 4, preferences being read"),
    ],
)
def test_a_rollback_gives_up_where_somebody_reads_what_it_takes(
    migrated: Scratch, number: int, statement: str, tmp_path: Path
) -> None:
    given_up(migrated, number, statement, tmp_path)


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
def test_a_rollback_waits_for_who_is_writing_before_it_counts(
    migrated: Scratch, number: int, statement: str, where: str, tmp_path: Path
) -> None:
    """Otherwise a row that is not committed yet is not counted, and goes unsaid."""
    assert where in given_up(migrated, number, statement, tmp_path)


def given_up(scratch: Scratch, number: int, statement: str, folder: Path) -> str:
    """What a phase's rollback says where it gives up while somebody runs a statement."""
    with (
        scratch.connection.transaction(force_rollback=True),
        scratch.run.connect(scratch.name) as somebody,
        somebody.transaction(force_rollback=True),
    ):
        scratch.connection.execute("SET LOCAL enorae.discard_data = 'on'")
        somebody.execute(statement.encode())
        for later in range(4, number, -1):
            scratch.rollback(later)
        with pytest.raises(SqlError, match="canceling statement due to lock timeout") as stopped:
            scratch.execute(impatient(scratch.phases[number].rollback.path, folder))
    assert stopped.value.sqlstate == "55P03"
    return str(stopped.value)
