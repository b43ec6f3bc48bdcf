"""A migration does not block a live application for long: the locks of each step and rollback, and its lock timeout.

A foreign key needs SHARE ROW EXCLUSIVE on the table that it refers to: reads continue, writes wait for the end of the
step. Only CREATE POLICY on storage.objects needs more: ACCESS EXCLUSIVE, which cannot be avoided. A rollback needs it
on the tables of the foreign keys too: DROP TABLE removes the triggers there. test_traffic.py runs all of them while
clients read and write.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import postgast
import pytest
from psycopg import Connection

from rolecall.database.scratch import Scratch
from rolecall.errors import SqlError
from rolecall.settings import read as read_settings
from rolecall.sql.migrations import Phase, Script, Step, read
from tests.migrations.helpers import DISCARD

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
        scratch.execute(step.path)  # if it cannot be applied twice, the error is one of the step
        return Trace(set(locks), scanned, rewritten, lock_timeout(connection, step))


def lock_timeout(connection: Connection[Any], script: Script) -> str:
    """The setting at the end of a script. rolecall resets it after a file, so this runs the text itself."""
    with connection.transaction(force_rollback=True):
        connection.execute(script.path.read_bytes())
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


# ------------------------------------------------------------------ all locks first

WANTED = re.compile(r'^ +"(\S+)": "([A-Z ]+)"', re.MULTILINE)


def wanted(path: Path) -> dict[str, str]:
    """The locks that a script lists, by relation; the modes are named as in pg_locks."""
    listed = WANTED.findall(path.read_text(encoding="utf-8"))
    return {name: mode.title().replace(" ", "") + "Lock" for name, mode in listed}


def strong_locks(connection: Connection[Any], names: dict[int, str]) -> set[tuple[str, str]]:
    """The locks of this session on relations with these oids and names, without the mild modes."""
    locks = connection.execute("SELECT relation::bigint, mode FROM pg_locks WHERE pid = pg_backend_pid()").fetchall()
    return {(names[relation], mode) for relation, mode in locks if relation in names and mode not in MILD}


def relation_names(connection: Connection[Any]) -> dict[int, str]:
    rows = connection.execute(
        "SELECT oid::bigint, oid::regclass::text FROM pg_class "
        "WHERE relkind IN ('r', 'v') AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)'"
    )
    return dict(rows.fetchall())


def without_locks(path: Path, folder: Path) -> Path:
    """A copy of a script that does not lock first: its statements lock what they need."""
    copy = folder / path.name
    copy.write_text(WANTED.sub('"": ""', path.read_text(encoding="utf-8")), encoding="utf-8")
    return copy


def locks_of(scratch: Scratch, path: Path) -> set[tuple[str, str]]:
    """The strong locks on relations that existed before, at the end of a script. Its changes are undone."""
    with scratch.connection.transaction(force_rollback=True):
        names = relation_names(scratch.connection)
        scratch.execute(path)
        return strong_locks(scratch.connection, names)


class NeededLocks(NamedTuple):
    """The strong locks of a script on relations that exist before it: those that it lists, takes and needs."""

    listed: set[tuple[str, str]]
    taken: set[tuple[str, str]]
    needed: set[tuple[str, str]]


LocksByFile = dict[str, NeededLocks]


@pytest.fixture(scope="module")
def needed_locks(module_scratch: Callable[..., Scratch], tmp_path_factory: pytest.TempPathFactory) -> LocksByFile:
    """The locks of all scripts: of the rollbacks from the last to the first, and then of the steps in their order."""
    database, folder = module_scratch(migrated=True), tmp_path_factory.mktemp("scripts")
    database.connection.execute("SET enorae.discard_data = 'on'")
    files = changing_files(database.phases.values())
    rollbacks = [name for name, path in files.items() if path.name == "rollback.sql"]
    found = {}
    for name in [*reversed(rollbacks), *(name for name in files if name not in rollbacks)]:
        path = files[name]
        needed = locks_of(database, without_locks(path, folder))
        existing = relation_names(database.connection).values()
        listed = {lock for lock in wanted(path).items() if lock[0] in existing}
        found[name] = NeededLocks(listed, locks_of(database, path), needed)
        database.execute(path)
    return found


def test_the_listed_locks_are_those_that_the_file_needs(
    needed_locks: LocksByFile, phases: dict[int, Phase], changing_file: str
) -> None:
    """A lock that is missing in the list would be taken late; one that is not needed would block somebody in vain.

    A script that takes one lock needs no list: it cannot wait for it while it holds others.
    """
    listed, taken, needed = needed_locks[changing_file]
    path = changing_files(phases.values())[changing_file]
    assert needed == listed or (not wanted(path) and len(needed) == 1)
    assert taken == needed


def test_the_listed_locks_of_a_step_are_enough_for_a_second_run(
    migrated: Scratch, traced_step: str, tmp_path: Path
) -> None:
    """It drops and creates policies and triggers, and replaces views."""
    (path,) = (step.path for step in every_step(migrated) if str(step) == traced_step)
    listed = wanted(path)
    needed = locks_of(migrated, without_locks(path, tmp_path))
    weaker = {lock for lock in needed if listed.get(lock[0]) == "AccessExclusiveLock"}
    assert needed - weaker <= listed.items() or (not listed and len(needed) == 1)


def test_a_step_does_not_lock_what_belongs_to_another_role(bare: Scratch) -> None:
    """It stops at the shape of the table, and not at its own lock."""
    with bare.connection.transaction(force_rollback=True):
        bare.connection.execute("CREATE TABLE scheduling.appointment_services (id integer)")  # as the superuser
        with pytest.raises(SqlError, match="exists in another shape"):
            bare.apply(1)


@pytest.mark.parametrize(
    ("script", "used", "query"),
    [
        ("phase 1 back", "organization.salons", "SELECT FROM audit.audit_logs, identity.profiles LIMIT 1"),
        ("1.5 avatars_bucket", "storage.objects", "SELECT FROM storage.objects LIMIT 1"),
    ],
)
def test_a_script_that_waits_lets_requests_pass(
    scratch: Callable[..., Scratch], script: str, used: str, query: str, tmp_path: Path
) -> None:
    """One long reader makes the script give up. Until then, other requests wait only briefly."""
    database = scratch(migrated=True)
    database.connection.execute("SET enorae.discard_data = 'on'")
    for later in (4, 3, 2):
        database.rollback(later)
    path = changing_files(database.phases.values())[script]
    waits = []
    with (
        database.run.connect(database.name) as reader,
        database.run.connect(database.name) as client,
        reader.transaction(force_rollback=True),
        ThreadPoolExecutor() as pool,
    ):
        reader.execute(f"LOCK TABLE {used} IN ACCESS SHARE MODE".encode())
        running = pool.submit(database.execute, with_timeout("1s", path, tmp_path))
        while not running.done():
            start = time.monotonic()
            client.execute(query.encode())
            waits.append(time.monotonic() - start)
        with pytest.raises(SqlError, match=f"lock timeout: other transactions use {used}") as excinfo:
            running.result()
    assert excinfo.value.sqlstate == "55P03"
    assert sum(wait > 0.02 for wait in waits) > 2  # it waited for single attempts, and not for the whole second
    database.execute(path)  # and it can be run again


# ------------------------------------------------------------------ lock timeout


# In the forms that PostgreSQL reads, up to the value: in a step, and as the first statement of a rollback.
LOCK_TIMEOUT = r"(?:^|^BEGIN\n +)(?:PERFORM set_config\('lock_timeout', |SET LOCAL lock_timeout (?:=|TO) )"


def test_each_step_and_rollback_sets_lock_timeout_first(phases: dict[int, Phase], changing_file: str) -> None:
    path = changing_files(phases.values())[changing_file]
    text = path.read_text(encoding="utf-8")
    if path.name == "rollback.sql":
        assert re.search(LOCK_TIMEOUT, text, re.MULTILINE)
        return
    first = postgast.parse(text).stmts[0].stmt.variable_set_stmt
    assert (first.name, first.is_local) == ("lock_timeout", True)


def test_a_step_waits_at_most_five_seconds(traces: dict[str, Trace], traced_step: str) -> None:
    assert traces[traced_step].lock_timeout == "5s"


def test_a_rollback_waits_at_most_five_seconds(scratch: Callable[..., Scratch]) -> None:
    database = scratch(migrated=True)
    database.connection.execute("SET enorae.discard_data = 'on'")
    for phase in reversed([*database.phases.values()]):
        assert lock_timeout(database.connection, phase.rollback) == "5s"
        database.rollback(phase.number)


def with_timeout(timeout: str, path: Path, folder: Path) -> Path:
    """A copy of a file with another lock timeout."""
    text = path.read_text(encoding="utf-8")
    text, count = re.subn(rf"({LOCK_TIMEOUT})('[^']*'|\d+)", rf"\1'{timeout}'", text, flags=re.MULTILINE)
    assert count == 1
    copy = folder / path.parent.name / path.name  # its lines count as those of the file
    copy.parent.mkdir(exist_ok=True)
    copy.write_text(text, encoding="utf-8")
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
    listed = table in wanted(path)
    message = "canceling statement due to lock timeout" + (f": other transactions use {table}" if listed else "")
    with bare.run.connect(bare.name) as other, other.transaction(force_rollback=True):
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        with pytest.raises(SqlError, match=message) as excinfo:
            bare.execute(with_timeout("1ms", path, tmp_path))
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
                    bare.execute(with_timeout("1ms", step.path, tmp_path))
                except SqlError as error:
                    timeouts.append((str(step), error.sqlstate))
    assert timeouts == [("1.5 avatars_bucket", "55P03")]


@pytest.mark.parametrize(
    ("number", "statement", "relation"),
    [
        pytest.param(number, statement, relation, id=f"phase {number}, {what}")
        for number, what, statement, relation in [
            (1, "a read of pictures", "SELECT FROM storage.objects", "storage.objects"),
            (1, "a read of the log", "SELECT FROM audit.audit_logs_view", "audit.audit_logs"),
            (3, "a read of reviews", "SELECT FROM {}", "engagement.salon_reviews_with_counts_view"),
            (4, "a read of preferences", "SELECT FROM {}", "identity.view_user_preferences"),
            # Otherwise the rollback would not count a row that is not committed yet, and would delete it.
            (1, "a write of services", "LOCK TABLE {} IN ROW EXCLUSIVE MODE", "scheduling.appointment_services"),
            (1, "a write of threads", "LOCK TABLE {} IN ROW EXCLUSIVE MODE", "communication.message_threads"),
            (1, "a write of favourites", "LOCK TABLE {} IN ROW EXCLUSIVE MODE", "engagement.customer_favorites"),
            (1, "a write of the log", "LOCK TABLE {} IN ROW EXCLUSIVE MODE", "audit.audit_logs"),
            (1, "an upload", "INSERT INTO {} (bucket_id, name) VALUES ('avatars', 'new.png')", "storage.objects"),
            (3, "a write of rules", "LOCK TABLE {} IN ROW EXCLUSIVE MODE", "catalog.service_booking_rules"),
        ]
    ],
)
def test_a_rollback_times_out_while_its_objects_are_used(
    down_to: Callable[[int], Scratch], number: int, statement: str, relation: str, tmp_path: Path
) -> None:
    database = down_to(number)
    with database.run.connect(database.name) as other, other.transaction(force_rollback=True):
        database.connection.execute(DISCARD)
        other.execute(statement.format(relation).encode())
        with pytest.raises(SqlError, match=f"lock timeout: other transactions use {relation}") as excinfo:
            database.execute(with_timeout("1ms", database.phases[number].rollback.path, tmp_path))
    assert excinfo.value.sqlstate == "55P03"
    assert "Nothing has been changed." in str(excinfo.value)
