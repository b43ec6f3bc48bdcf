"""Each step and each rollback runs while five clients read and write: it disturbs none of them.

No deadlock, no failed request except for objects that do not exist, and no request waits for a lock for longer than
the scripts do: PostgreSQL would cancel it. What each script locked and how long the longest request took is in the
properties of its test (``--junit-xml``). ``RELIABILITY_LONG=1`` runs more rounds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from rolecall import World
from rolecall.database.scratch import Scratch
from rolecall.errors import SqlError
from rolecall.settings import read as read_settings
from rolecall.sql.migrations import Phase, read
from tests.migrations.clients import MISSING, Answer, clients
from tests.migrations.helpers import wait_for_lock
from tests.races.arena import Arena

ROUNDS = range(10 if os.environ.get("RELIABILITY_LONG") else 1)
PAUSE = 0.05  # seconds of traffic before and after each script
ATTEMPTS = 5  # a script that cannot have its locks gives up, and is run again


class Run(NamedTuple):
    """One run of a script beside the clients; ``error`` is "" if it worked."""

    error: str
    attempts: int
    locks: dict[str, str]
    answers: list[Answer]


def names_of_runs(phases: tuple[Phase, ...]) -> Iterator[tuple[str, Path]]:
    """Every step, every step again, and every rollback, in an order in which they can run."""
    for again in ("", ", again"):
        yield from ((f"{step}{again}", step.path) for phase in phases for step in phase.steps)
    yield from ((f"phase {phase.number} back", phase.rollback.path) for phase in reversed(phases))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each script of the migrations under test."""
    folder = read_settings(metafunc.config).migrations
    assert folder
    if "running_script" in metafunc.fixturenames:
        metafunc.parametrize("running_script", [name for name, _ in names_of_runs(read(folder))])


STRONG_LOCKS = """
SELECT oid::regclass::text, mode FROM pg_locks JOIN pg_class ON oid = relation
WHERE pid = pg_backend_pid() AND relkind = 'r' AND relation >= 16384
  AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
ORDER BY mode DESC
"""


def run_script(scratch: Scratch, path: Path, attempt: int = 1) -> Run:
    """Run a script until it has its locks. The answers of the clients are still missing."""
    try:
        with scratch.connection.transaction():
            scratch.execute(path)
            locks = scratch.connection.execute(STRONG_LOCKS).fetchall()
    except SqlError as error:
        if error.sqlstate == "55P03" and attempt < ATTEMPTS:
            return run_script(scratch, path, attempt + 1)
        return Run(str(error), attempt, {}, [])
    return Run("", attempt, dict(locks), [])


@pytest.fixture(scope="module")
def runs(module_scratch: Callable[..., Scratch], world: World) -> dict[str, list[Run]]:
    """All scripts, one after the other, beside the clients; for each script the runs of all rounds."""
    database = module_scratch(migrated=True)
    database.connection.execute("SET enorae.discard_data = 'on'")
    scripts = dict(names_of_runs(tuple(database.phases.values())))
    runs: dict[str, list[Run]] = {name: [] for name in scripts}
    for phase in reversed(list(database.phases.values())):
        run_script(database, phase.rollback.path)
    for seed in ROUNDS:
        windows: list[tuple[str, float, float, Run]] = []
        with clients(database, world, seed) as running:
            for name, path in scripts.items():
                time.sleep(PAUSE)
                began = time.monotonic()
                run = run_script(database, path)
                windows.append((name, began, time.monotonic(), run))
            time.sleep(PAUSE)
        answers = [answer for client in running for answer in client.answers]
        for name, began, ended, run in windows:
            beside = [each for each in answers if each.began < ended + PAUSE and each.ended > began - PAUSE]
            runs[name].append(run._replace(answers=beside))
    return runs


def test_a_script_disturbs_no_client(
    runs: dict[str, list[Run]], running_script: str, request: pytest.FixtureRequest
) -> None:
    for run in runs[running_script]:
        assert run.error == ""
        slowest = max(run.answers, key=lambda answer: answer.seconds)
        locks = ", ".join(f"{table} {mode}" for table, mode in sorted(run.locks.items()))
        request.node.user_properties += [
            ("attempts", run.attempts),
            ("strongest locks", locks),
            ("longest request in ms", round(slowest.seconds * 1000)),
        ]
        assert [answer for answer in run.answers if answer.failed] == []


def test_the_clients_used_old_and_new_tables_all_the_time(runs: dict[str, list[Run]]) -> None:
    """Otherwise the other tests would prove nothing."""
    for name, rounds in runs.items():
        for run in rounds:
            assert sum(not answer.sqlstate for answer in run.answers) > 5, name
    answers = [answer for rounds in runs.values() for run in rounds for answer in run.answers]
    assert {answer.sqlstate for answer in answers} >= {"", "42P01", "42883"}
    assert {answer.sqlstate for answer in answers if not answer.failed} <= {"", "42501", *MISSING}
    worked = {answer.request for answer in answers if not answer.sqlstate}
    assert {answer.request for answer in answers} == worked


# ------------------------------------------------------------------ a client that takes its locks in another order

OPPOSITE = {
    "1.1 appointment_services": ("UPDATE {} SET updated_at = now()", "scheduling.appointments", "catalog.services"),
    "1.2 message_threads": ("UPDATE {} SET updated_at = now()", "scheduling.appointments", "identity.profiles"),
    "3.3 service_booking_rules": ("UPDATE {} SET updated_at = now()", "organization.salons", "catalog.services"),
    "phase 1 back": ("SELECT FROM {}", "identity.profiles", "scheduling.appointment_services"),
    "phase 3 back": ("SELECT FROM {}", "catalog.services", "catalog.service_booking_rules"),
    "phase 4 back": ("SELECT FROM {}", "identity.view_profile_metadata", "communication.view_notifications"),
}


@pytest.mark.parametrize("script", OPPOSITE)
def test_a_client_that_locks_in_another_order_is_no_deadlock(
    scratch: Callable[..., Scratch], world: World, script: str
) -> None:
    """The script waits for the first table of the client, and the client for the first of the script."""
    database = scratch(migrated=True)
    database.connection.execute("SET enorae.discard_data = 'on'")
    last = int(script.split()[1]) if script.endswith("back") else 0
    for number in range(4, last, -1):
        database.rollback(number)
    statement, first, second = OPPOSITE[script]
    path = dict(names_of_runs(tuple(database.phases.values())))[script]
    if script.startswith("3."):
        database.apply(1)
    with Arena(database, world).racers("service", "service") as (client, migration):
        migration.run("SET enorae.discard_data = 'on'; SET lock_timeout = 0")
        client.begin()
        client.run(statement.format(first))
        running = migration.start("BEGIN;" + path.read_text(encoding="utf-8") + ";COMMIT")
        wait_for_lock(database, migration, running)
        client.run(statement.format(second))
        client.run("COMMIT")
        running.result(10)
