"""Runs beside foreign databases: a shared server with names like rolecall's does not change during a run."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

from psycopg import sql

from reliability.place import Outcome, Place, new_place
from reliability.results import Deadline, Result
from reliability.shared import SharedServer, remove, shared_server
from reliability.stages import STAGES, Stage

TITLE = "Runs beside foreign databases"
LIMIT = 60.0  # seconds for a run

DATABASES = (
    *("rolecall", "rolecall_notes", "rolecall_20261124_backup", "rolecall_deadbeef_archive", "rolecall_0123abcd"),
    *("rolecall_0123abcd_migrated", "rolecall_0123abcd_baseline", "rolecall_cafebabe_main", "rolecall_feedface_gw0"),
    *("Rolecall_deadbeef_x", "rolecall deadbeef", "person's own", "toy_member"),
)
ROLES = (
    *("toy_member", "toy_visitor", "rolecall", "rolecall_deadbeef", "rolecall_20261124_owner", "a person's role"),
    *("rolecall_0123abcd_reader", "person_with_login"),
)
SETTINGS = (
    "ALTER ROLE toy_member SET work_mem = '5MB'",
    "ALTER ROLE toy_member CREATEDB CONNECTION LIMIT 7 VALID UNTIL '2030-01-01'",
    "ALTER ROLE person_with_login LOGIN PASSWORD 'secret of a person'",
    "ALTER ROLE rolecall_deadbeef IN DATABASE rolecall_deadbeef_archive SET search_path = archive",
    "ALTER DATABASE rolecall_20261124_backup SET default_transaction_read_only = on",
    "ALTER DATABASE rolecall_0123abcd_migrated WITH is_template true",
    "ALTER DATABASE rolecall_feedface_gw0 WITH CONNECTION LIMIT 3",
    "ALTER DATABASE rolecall_cafebabe_main OWNER TO rolecall_deadbeef",
    'GRANT toy_visitor TO toy_member WITH ADMIN OPTION; GRANT rolecall_deadbeef TO "a person\'s role"',
    "GRANT CONNECT ON DATABASE rolecall_notes TO toy_member; REVOKE ALL ON DATABASE rolecall FROM PUBLIC",
    "COMMENT ON DATABASE rolecall_deadbeef_archive IS 'made by a person for rolecall: keep'",
    'COMMENT ON DATABASE rolecall_0123abcd_migrated IS \'{"role": null, "added": [], "tables": [], "phases": []}\'',
    "COMMENT ON ROLE toy_member IS 'mine'",
    "COMMENT ON ROLE rolecall_deadbeef IS 'made for rolecall'",
)
ROWS = """
CREATE SCHEMA shop;
CREATE TABLE shop.notes (id int PRIMARY KEY, author text, body text);
INSERT INTO shop.notes SELECT n, 'person', repeat('x', n) FROM generate_series(1, 50) AS n;
GRANT SELECT ON shop.notes TO toy_member;
GRANT USAGE ON SCHEMA shop TO toy_visitor;
ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO toy_member;
COMMENT ON TABLE shop.notes IS 'a person''s';
SELECT lo_from_bytea(0, 'a large object');
"""


def add_foreign_objects(server: SharedServer) -> None:
    """Create the missing databases and roles of the other user, with rows, comments, grants and settings."""
    existing = server.names()
    with server.connect() as connection:
        for name in ROLES:
            if f"role {name}" not in existing:
                connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
        for name in DATABASES:
            if f"database {name}" not in existing:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
                with server.connect(name) as in_database:
                    in_database.execute(ROWS)
        for setting in SETTINGS:
            connection.execute(setting.encode())


# ------------------------------------------------------------------ runs of rolecall on this server


def passes(place: Place, options: list[str]) -> Outcome:
    return place.run(*options, seconds=LIMIT)


def fails(place: Place, options: list[str]) -> Outcome:
    (place.project / "test_wrong.py").write_text("def test_wrong(db):\n    assert db.value('SELECT 1') == 2\n")
    return place.run(*options, seconds=LIMIT)


def has_wrong_sql(place: Place, options: list[str]) -> Outcome:
    (place.project / "migrations/phase_1_notes/1_2_count_notes.sql").write_text("SELECT nothing;\n")
    return place.run(*options, seconds=LIMIT)


def two_at_once(place: Place, options: list[str]) -> Outcome:
    """Two runs at the same time; returns how the second one ended."""
    other = place.start(*options, output="other output")
    outcome = place.run(*options, seconds=LIMIT)
    with suppress(subprocess.TimeoutExpired):
        other.wait(LIMIT)
    return outcome


def killed(signum: signal.Signals, stage: Stage) -> Callable[[Place, list[str]], Outcome]:
    """A run that gets a signal at a stage, then a second run, which cleans up."""

    def scenario(place: Place, options: list[str]) -> Outcome:
        process = place.start(*options, *stage.prepare(place))
        stage.wait(place)
        os.kill(process.pid, signum)
        place.end(process, LIMIT)
        stage.release(place)
        time.sleep(0.2)
        return place.run(*options, seconds=LIMIT)

    return scenario


SCENARIOS: dict[str, Callable[[Place, list[str]], Outcome]] = {
    "passes": passes,
    "fails": fails,
    "has wrong SQL": has_wrong_sql,
    "two at once": two_at_once,
    **{
        f"{signum.name} at {stage.name}, then one more run": killed(signum, stage)
        for stage, signum in itertools.product(
            [stage for stage in STAGES if stage.name in ("migration", "mid-test", "own database")],
            (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL),
        )
    },
}


def run(deadline: Deadline, seed: int, only: str = "", progress: Callable[[str], None] = lambda _: None) -> Result:
    """Run the scenarios in a random order while there is time, or only the scenario ``only``."""
    result = Result("foreign", TITLE, seed)
    result.promise(
        "foreign",
        "On a server that others use, rolecall changes and drops only what it created, and leaves nothing.",
        f"A server has {len(DATABASES)} databases and {len(ROLES)} roles of another user, many named like rolecall's, "
        "with rows, comments, grants and settings. Runs pass, fail, stop at an error, are killed, or run two at once. "
        "A digest of everything (pg_dumpall's globals, pg_dump of each database) is the same before and after.",
        "runs",
    )
    names = [f"{name}, -n {count}" for name in SCENARIOS for count in (0, 2)]
    random.Random(seed).shuffle(names)  # noqa: S311 - must be repeatable
    with new_place() as place, shared_server(place) as server:
        place.variables["ROLECALL_PG_DSN"] = server.dsn
        for number, name in enumerate([only] if only else itertools.cycle(names)):
            if number and deadline.left < 0:
                break
            progress(f"{name} ({len(result.broken)} broken)")
            _run_scenario(place, server, name, result)
    return result


def _run_scenario(place: Place, server: SharedServer, name: str, result: Result) -> None:
    place.lay_out()
    add_foreign_objects(server)
    names, before = server.names(), server.fingerprint()
    scenario, _, count = name.rpartition(", -n ")
    outcome = SCENARIOS[scenario](place, ["-q", "-n", count])
    after = server.fingerprint()
    result.tried("foreign")
    result.count("databases compared", len(before))
    changed = [name for name in before if after.get(name) != before[name]]
    added = sorted(server.names() - names)
    if changed or added:
        differences = [*(f"changed or gone: {each}" for each in changed[:4]), *(f"added: {each}" for each in added[:4])]
        command = f'python -m reliability foreign --seed {result.seed} --only "{name}"'
        result.fail("foreign", f"{name}: {'; '.join(differences)} ({outcome.last_line[:80]})", command)
    remove(server, added)
