"""What a script changes besides its own objects: no row of another table, no setting of the session, no sequence.

Each script runs as ``psql -1`` runs it: in a transaction of its own, which is committed. So a setting that is left is
one that the session keeps. test_additive.py and test_rollback.py compare the definitions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from rolecall import Change, World, deleted, inserted, set_to
from rolecall.access.world import insert
from rolecall.changes.changes import Changes, changes_of
from rolecall.database.scratch import Scratch
from rolecall.settings import read as read_settings
from rolecall.sql.migrations import Phase, read
from tests.migrations.helpers import tables

NEW_TABLES = {
    "1.1 appointment_services": "scheduling.appointment_services",
    "1.2 message_threads": "communication.message_threads",
    "1.3 customer_favorites": "engagement.customer_favorites",
    "1.4 audit_logs": "audit.audit_logs",
    "3.3 service_booking_rules": "catalog.service_booking_rules",
}
DISCARD = "SET LOCAL enorae.discard_data = 'on'"
BUCKET_EXISTS = "SELECT true FROM storage.buckets WHERE id = 'avatars'"
BUCKET = "storage.buckets"


def runs_of(phases: tuple[Phase, ...]) -> Iterator[tuple[str, str, Path]]:
    """Every run of a script, in an order in which they can run: its name, what comes first, and the file."""
    for phase in phases:
        yield f"phase {phase.number}: verify fails", "", phase.verify.path
        for again in ("", ", again"):
            yield from ((f"{step}{again}", "", step.path) for step in phase.steps)
        yield f"phase {phase.number}: verify", "", phase.verify.path
    for phase in reversed(phases):
        if any(f"{step}" in NEW_TABLES for step in phase.steps):
            yield f"phase {phase.number}: rollback refused", "", phase.rollback.path
        yield f"phase {phase.number}: rollback", DISCARD, phase.rollback.path
        yield f"phase {phase.number}: rollback, again", DISCARD, phase.rollback.path


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each run of a script of the migrations under test."""
    folder = read_settings(metafunc.config).migrations
    assert folder
    if "script" in metafunc.fixturenames:
        metafunc.parametrize("script", [name for name, _, _ in runs_of(read(folder))])


def run(database: Scratch, first: str, path: Path) -> tuple[Changes, str]:
    """Run a script in a session of its own; returns what it changed, and the message of its error."""
    text, error = path.read_text(encoding="utf-8"), ""
    names = {name for name in re.findall(r"\b[a-z_]+\.[a-z_]+\b", text) if name.startswith(("enorae.", "storage."))}
    with database.run.connect(database.name) as connection:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(database.role or "")))
        with changes_of(connection, names) as changed:
            try:
                with connection.transaction():
                    connection.execute(f"{first};{text}".encode())
            except psycopg.Error as refused:
                error = str(refused)
    return changed, error


@pytest.fixture(scope="module")
def runs(module_scratch: Callable[..., Scratch], world: World) -> dict[str, tuple[Changes, str]]:
    """The changes of all runs, one after the other. Every table has rows as soon as it exists."""
    database = module_scratch()
    existing: set[str] = set()
    results = {}
    for name, first, path in runs_of(tuple(database.phases.values())):
        new = set(tables(database.connection)) - existing
        for table, _, row in world:
            if table in new and (table, row.get("bucket_id")) != ("storage.objects", "avatars"):
                database.connection.execute(insert(table, row))
        # Without the bucket, the tests of its step fail, and not this fixture.
        if name == "phase 1: verify" and database.connection.execute(BUCKET_EXISTS).fetchone():
            for row in world.rows["storage.objects"].values():
                if row["bucket_id"] == "avatars":
                    database.connection.execute(insert("storage.objects", row))
        existing |= new
        results[name] = run(database, first, path)
    return results


def expected(world: World, script: str) -> list[Change]:
    """All changes of a run besides definitions: tables that are new or gone, and the bucket with its objects."""
    if script in NEW_TABLES:
        return [set_to(f"table {NEW_TABLES[script]}", "exists")]
    if script == "1.5 avatars_bucket":
        columns = {"id": "avatars", "name": "avatars", "public": False, "file_size_limit": 5242880}
        return [inserted(BUCKET, created_at=object, updated_at=object, **columns)]
    if script.endswith(": rollback"):
        phase = f"{script.split()[1].rstrip(':')}."
        gone = [set_to(f"table {table}", None) for step, table in NEW_TABLES.items() if step.startswith(phase)]
        if phase != "1.":
            return gone
        avatars = [row for row in world.rows["storage.objects"].values() if row["bucket_id"] == "avatars"]
        return [*gone, deleted(BUCKET, "avatars"), *(deleted("storage.objects", row["id"]) for row in avatars)]
    return []


def test_nothing_else_changes(runs: dict[str, tuple[Changes, str]], world: World, script: str) -> None:
    changed, error = runs[script]
    assert changed == expected(world, script)
    if script.endswith("verify fails"):
        assert "differs from what its steps create" in error
    elif script.endswith("refused"):
        assert "would delete rows" in error
    else:
        assert error == ""
