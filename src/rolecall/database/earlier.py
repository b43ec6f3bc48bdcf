"""A database as it is after an earlier phase: the baseline, the first phases, and the world as far as it fits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rolecall.access import loading
from rolecall.access.world import World
from rolecall.database.run import Run
from rolecall.database.scripts import run_script
from rolecall.server.connection import ServerConnection
from rolecall.sql.migrations import Phase

COLUMNS = """
SELECT n.nspname || '.' || c.relname, array_agg(a.attname::text)
FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p', 'v', 'f') AND n.nspname || '.' || c.relname = ANY (%s)
GROUP BY 1
"""


class Earlier(NamedTuple):
    """A database after an earlier phase. ``world`` has the tables and columns that exist there."""

    connection: ServerConnection
    world: World


@contextmanager
def earlier(run: Run, suffix: str, phases: Iterable[Phase], role: str | None, world: World) -> Iterator[Earlier]:
    """A copy of the baseline with some phases and the world, for the block. Raises SqlError if a step fails."""
    phases = list(phases)
    label = f"after phase {phases[-1].number}"
    with run.clone(run.baseline, suffix) as name, run.connect(name, label) as connection:
        for step in (step for phase in phases for step in phase.steps):
            run_script(run, connection, step, role)
        known = fitting(connection, world)
        known.missing = loading.load(connection, known)
        connection.execute("ANALYZE")
        yield Earlier(connection, known)


def fitting(connection: ServerConnection, world: World) -> World:
    """The world with the tables and columns that a database has."""
    columns: dict[str, list[str]] = dict(connection.execute(COLUMNS, [list(world.rows)]).fetchall())
    return world.restricted(columns)
