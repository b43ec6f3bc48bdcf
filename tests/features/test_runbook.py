"""The commands of docs/runbook.md, run as they are written, and what it says about locks and ways to run a file."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection, sql

from rolecall import World
from rolecall.access.world import insert
from rolecall.database.scratch import Scratch
from tests.features.programs import as_migration_role, programs, psql
from tests.migrations.helpers import as_owner, everything
from tests.migrations.test_locks import STRONG

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
SCHEMAS = ("audit", "catalog", "communication", "engagement", "identity", "organization", "scheduling")
LOCKS = {"ShareRowExclusiveLock": "SHARE ROW EXCLUSIVE", "AccessExclusiveLock": "ACCESS EXCLUSIVE"}


def blocks(section: str) -> list[str]:
    """The ``sh`` blocks of a section of the runbook."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", RUNBOOK, re.DOTALL | re.MULTILINE)
    found: list[str] = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert found
    return found


class Shell:
    """A folder with the checkout's SQL, in which blocks of the runbook are run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("migrations", "baseline"):
            (folder / name).symlink_to(ROOT / name)

    def run(self, database: Scratch, *scripts: str, new: Scratch | None = None) -> str:
        """Run scripts in one shell, after the function ``run`` of the runbook, and return what they print.

        Raises AssertionError if a command fails, or prints anything to stderr.
        """
        define_run = blocks("Before")[0].split("run baseline")[0]
        done = subprocess.run(
            ["/bin/sh", "-eu", "-c", "\n".join([define_run, *scripts])],
            cwd=self.folder,
            env={
                "PATH": f"{programs(database)}{os.pathsep}{os.environ['PATH']}",
                "DATABASE_URL": as_migration_role(database).reveal(),
                "NEW_DATABASE_URL": as_migration_role(new or database).reveal(),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def live(scratch: Callable[..., Scratch], world: World) -> Scratch:
    """A database before the plan, with rows in its tables."""
    database = may_create(scratch())
    existing = tables(database.connection)
    for table, _, row in world:
        if table in existing and row.get("bucket_id") != "avatars":
            database.connection.execute(insert(table, row))
    return database


def may_create(database: Scratch) -> Scratch:
    """Let the migration role create schemas, as on the platform. A copy of a database loses this grant."""
    grant = sql.SQL("GRANT CREATE ON DATABASE {} TO {}")
    names = sql.Identifier(database.name), sql.Identifier(database.role or "")
    database.connection.execute(grant.format(*names))
    return database


def tables(connection: Connection[Any]) -> list[str]:
    query = "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname = ANY (%s) ORDER BY 1"
    return [str(name) for (name,) in connection.execute(query, [[*SCHEMAS, "storage"]])]


Rows = dict[str, list[Any]]  # all rows of each table, as text


def rows(database: Scratch) -> Rows:
    """All rows of the application's tables, and of storage."""
    return {
        name: database.connection.execute(f"SELECT t::text FROM {name} AS t ORDER BY 1".encode()).fetchall()
        for name in tables(database.connection)
    }


def rows_of_application(found: Rows) -> Rows:
    """Those outside of storage. A bucket that is created again has another time."""
    return {name: each for name, each in found.items() if not name.startswith("storage.")}


# ------------------------------------------------------------------ apply and roll back


def test_before_apply_and_after(live: Scratch, scratch: Callable[..., Scratch], shell: Shell) -> None:
    """psql prints nothing, neither notices nor warnings; monitor.sql prints its answers."""
    printed = shell.run(live, *blocks("Before"), *blocks("Apply"))
    assert re.sub(r"\s+", " ", printed) == " pid | duration | query -----+----------+------- (0 rows) "
    assert "counted since" in shell.run(live, *blocks("After"))
    applied = scratch()
    applied.apply()
    assert live.dump() == applied.dump()


def test_roll_back(live: Scratch, shell: Shell, world: World) -> None:
    """All phases with their rows; and the rows come back after the phases."""
    keep_rows, discard, _, bring_back = blocks("Roll back")
    before = live.dump(), rows(live)
    live.apply()
    for table in ("scheduling.appointment_services", "audit.audit_logs", "catalog.service_booking_rules"):
        for row in world.rows[table].values():
            live.connection.execute(insert(table, row))
    full = live.dump(), rows(live)
    shell.run(live, keep_rows, discard)
    assert (live.dump(), rows(live)) == before
    shell.run(live, *blocks("Apply"), bring_back)
    schema, there = full
    assert live.dump() == schema
    assert rows_of_application(rows(live)) == rows_of_application(there)


# ------------------------------------------------------------------ restore

# Somebody's mistake. The foreign keys of the migrations go with it.
BREAK = "DROP TABLE identity.profiles CASCADE; DELETE FROM scheduling.operating_hours"


@pytest.fixture
def broken(live: Scratch, shell: Shell) -> tuple[str, Rows]:
    """The live database is backed up, migrated and broken. Returns its schema and its rows before that."""
    before = live.dump(), rows(live)
    shell.run(live, *blocks("Before"), *blocks("Apply"))
    live.connection.execute(BREAK.encode())
    assert (live.dump(), rows(live)) != before
    return before


def without_application(database: Scratch) -> Scratch:
    """The same database as a new project: the platform, and nothing of the application."""
    drop = sql.SQL("SET client_min_messages = warning; DROP SCHEMA {} CASCADE")
    database.connection.execute(drop.format(sql.SQL(", ").join(map(sql.Identifier, SCHEMAS))))
    return database


def test_restore_in_a_new_database(
    live: Scratch, scratch: Callable[..., Scratch], shell: Shell, broken: tuple[str, Rows]
) -> None:
    new = without_application(may_create(scratch()))
    prepare, in_new, _ = blocks("Restore")
    shell.run(live, prepare, in_new, new=new)
    schema, there = broken
    assert new.dump() == schema
    assert rows_of_application(rows(new)) == rows_of_application(there)


def test_restore_in_the_same_database(live: Scratch, shell: Shell, broken: tuple[str, Rows]) -> None:
    """The bucket stays; everything else is as it was."""
    prepare, _, in_place = blocks("Restore")
    shell.run(live, prepare, in_place)
    live.connection.execute("SET storage.allow_delete_query = 'true'; DELETE FROM storage.buckets WHERE id = 'avatars'")
    assert (live.dump(), rows(live)) == broken


def test_a_plain_restore_adds_the_default_privileges(
    live: Scratch, scratch: Callable[..., Scratch], shell: Shell
) -> None:
    """A table that anon could not read can be read by anon afterwards (F114)."""
    new = without_application(may_create(scratch()))
    role = sql.Identifier(new.role or "")
    new.connection.execute(sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} GRANT ALL ON TABLES TO anon").format(role))
    query = "SELECT has_table_privilege('anon', 'scheduling.appointments', 'SELECT')"
    assert live.connection.execute(query).fetchone() == (False,)
    shell.run(live, *blocks("Before"), 'pg_restore --exit-on-error --dbname="$NEW_DATABASE_URL" before.dump', new=new)
    assert new.connection.execute(query).fetchone() == (True,)


def test_the_plans_way_restores_nothing(live: Scratch, shell: Shell, tmp_path: Path) -> None:
    """``psql < backup.sql``: the tables exist, so each statement fails, and psql goes on (F112)."""
    backup = str(tmp_path / "backup.sql")
    flags = [argument for name in SCHEMAS for argument in ("-n", name)]
    shell.run(live, f'pg_dump --file="{backup}" {" ".join(flags)} "$DATABASE_URL"')
    live.connection.execute("DELETE FROM scheduling.operating_hours")
    live.connection.execute("UPDATE organization.salons SET name = 'broken'")
    after = rows(live)
    done = psql(live, "-q", "-f", backup)
    assert done.stderr.count(" already exists") > 30
    assert "duplicate key value violates unique constraint" in done.stderr
    assert done.returncode == 0
    restored = rows(live)
    assert restored.pop("scheduling.operating_hours") != after.pop("scheduling.operating_hours")  # an empty table
    assert restored == after


# ------------------------------------------------------------------ ways to run a rollback

RULES = "catalog.service_booking_rules"
STOP = "ON_ERROR_STOP=1"


@pytest.fixture(scope="module")
def without_phase_4(module_scratch: Callable[..., Scratch]) -> Scratch:
    database = module_scratch(migrated=True)
    database.rollback(4)
    return database


@pytest.fixture
def in_use(without_phase_4: Scratch) -> Iterator[Scratch]:
    """A database with all phases but the last, and rows in their tables."""
    with without_phase_4.copy() as database:
        yield database


def state(database: Scratch) -> tuple[str, Rows]:
    return database.dump(), rows(database)


@pytest.mark.parametrize(
    "options",
    [("-1", "-v", STOP), ("-v", STOP), ("-1",), ()],
    ids=["as written", "without -1", "without ON_ERROR_STOP", "without both"],
)
@pytest.mark.parametrize("number", [1, 3], ids="phase {}".format)
def test_a_rollback_that_stops_changes_nothing(in_use: Scratch, options: tuple[str, ...], number: int) -> None:
    """Phase 1 stops because phase 3 is applied, phase 3 because it has rows."""
    before = state(in_use)
    done = psql(in_use, "-q", *options, "-f", str(in_use.phases[number].rollback.path))
    assert "cannot be rolled back while" in done.stderr or "would delete rows" in done.stderr
    assert state(in_use) == before
    assert done.returncode == (3 if STOP in options else 0)


def test_a_rollback_in_the_sql_editor_that_stops_changes_nothing(in_use: Scratch) -> None:
    """The editor sends the file as one message, which is one transaction."""
    before = state(in_use)
    with pytest.raises(psycopg.Error, match="would delete rows"):
        in_use.connection.execute(in_use.phases[3].rollback.path.read_bytes())
    assert state(in_use) == before


def test_a_rollback_without_1_is_all_or_nothing(in_use: Scratch) -> None:
    """Somebody's view stops it at its last statement."""
    in_use.connection.execute(f"DELETE FROM {RULES}".encode())
    in_use.connection.execute("CREATE VIEW public.theirs AS SELECT id FROM engagement.salon_reviews_with_counts_view")
    before = state(in_use)
    done = psql(in_use, "-q", "-f", str(in_use.phases[3].rollback.path))
    assert "other objects depend on it" in done.stderr
    assert state(in_use) == before


def test_a_rollback_with_keep_others(in_use: Scratch, shell: Shell) -> None:
    """It keeps the view that somebody changed, and removes the rest."""
    view = "engagement.salon_reviews_with_counts_view"
    as_owner(in_use, f"DELETE FROM {RULES}; ALTER VIEW {view} RESET (security_invoker)")
    before = in_use.dump()
    done = psql(in_use, "-q", "-f", str(in_use.phases[3].rollback.path))
    assert f"- {view}: options: expected security_invoker=true, found none" in done.stderr
    assert in_use.dump() == before
    shell.run(in_use, blocks("Roll back")[2], "keep_others migrations/phase_3_views_and_rules/rollback.sql")
    query = "SELECT to_regclass(%s)::text, to_regclass(%s)::text"
    assert in_use.connection.execute(query, [view, RULES]).fetchone() == (view, None)


# ------------------------------------------------------------------ ways to run a step


@pytest.mark.parametrize("options", [("-v", STOP), ()], ids=["with ON_ERROR_STOP", "without both"])
def test_a_step_without_1_is_refused(scratch: Callable[..., Scratch], options: tuple[str, ...]) -> None:
    """Also by a psql that goes on after an error."""
    database = scratch()
    before = database.dump(), everything(database.connection)
    for step in (*database.phases[1].steps[1:], *database.phases[2].steps):
        done = psql(database, "-q", *options, "-f", str(step.path))
        assert "ERROR:  a step runs in one transaction, and this session is in none" in done.stderr
        assert everything(database.connection) == before[1], step
    assert database.dump() == before[0]


# ------------------------------------------------------------------ locks


def test_the_locks_are_those_that_the_steps_take() -> None:
    listed: dict[tuple[str, str], str] = {}
    for number, names, lock in re.findall(r"^\| (\d\.\d) \| (.+?) \| ([A-Z ]+) \|", RUNBOOK, re.MULTILINE):
        listed |= {(number, name): lock for name in re.findall(r"`(.+?)`", names)}
    assert listed == {
        (step.split()[0], table): LOCKS[mode] for step, modes in STRONG.items() for table, mode in modes.items()
    }


def test_every_block_of_the_runbook_is_run() -> None:
    """A section with commands that no test above runs would be a promise without a test."""
    parts = RUNBOOK.split("\n## ")[1:]
    with_commands = [part.splitlines()[0] for part in parts if "```sh\n" in part]
    assert with_commands == ["Before", "Apply", "After", "Roll back", "Restore"]
