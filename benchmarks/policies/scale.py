"""Enorae with a million rows in each table: built as for the tests, then filled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import Connection

from benchmarks.enorae import configuration
from rolecall import Session, World
from rolecall.database import build, load
from rolecall.database.run import run_on
from rolecall.server import choose
from rolecall.sql import files

HERE = Path(__file__).parent
ROOT = HERE.parent.parent

PATIENCE = "60s"  # for statements that are not measured

# Indexes that no constraint needs: it is faster to create them after the rows.
INDEXES = """
SELECT format('DROP INDEX %I.%I', schemaname, indexname), indexdef
FROM pg_indexes AS i
WHERE schemaname NOT LIKE 'pg\\_%' AND schemaname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conindid = format('%I.%I', schemaname, indexname)::regclass)
"""


def key(kind: str, number: int) -> UUID:
    """The id of the row of this kind and number, as world.sql computes it."""
    return UUID(md5(f"{kind} {number}".encode(), usedforsecurity=False).hexdigest())


def people(rows: int) -> World:
    """The personas of the queries, and the alias of a salon."""
    average = max(rows // 4000, 30) // 4  # a salon with an average number of rows
    subjects = {
        "customer": key("customer", 7),
        "staff": key("staff", average * 8),
        "owner": key("owner", average),
        "staff_customer": key("customer", 1),
        "newcomer": key("newcomer", 0),
    }
    world = World()
    for name, subject in subjects.items():
        world.persona(name, "authenticated", subject=str(subject))
    world.alias("salon", str(key("salon", average)))
    return world


@contextmanager
def large_database(rows: int) -> Iterator[tuple[Session, World, str]]:
    """A superuser's session on a database with ``rows`` rows in each table; the world; and the server's name.

    The session is in a transaction that is rolled back.
    """
    world = people(rows)
    with choose.running(configuration()) as server:
        run = run_on(server)
        build.build(run, configuration())
        load.load(run, world)
        with run.clone(run.template, "large") as name, run.connect(name) as connection:
            fill(connection, rows)
            connection.execute(f"SET statement_timeout = '{PATIENCE}'")
            # Supabase does not mark auth.uid() parallel safe: no query of a signed-in user runs in parallel.
            connection.execute("SET max_parallel_workers_per_gather = 0")
            with connection.transaction(force_rollback=True):
                yield Session(connection, world.personas), world, run.server


def fill(connection: Connection[Any], rows: int) -> None:
    """Insert the rows, create the indexes, and analyze the tables."""
    connection.execute("SELECT set_config('benchmark.rows', %s, false)", [str(rows)])
    connection.execute("SET maintenance_work_mem = '256MB'")
    indexes = connection.execute(INDEXES.encode()).fetchall()
    for drop, _ in indexes:
        connection.execute(drop.encode())
    files.run(connection, HERE / "world.sql")
    for _, create in indexes:
        connection.execute(create.encode())
    connection.execute("VACUUM ANALYZE")
