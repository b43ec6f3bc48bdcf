"""Load the rows of the seed and of the world into the migrated database."""

from __future__ import annotations

from pathlib import Path

from psycopg import sql

from rolecall.access import loading
from rolecall.access.loading import Missing
from rolecall.access.world import World
from rolecall.database.run import Run
from rolecall.database.templates import manifest_of
from rolecall.sql.migrations import Script, Transaction

# The tables that the world and the seed may have filled.
ANALYZE = """
DO $$
DECLARE
  relation regclass;
BEGIN
  FOR relation IN SELECT oid FROM pg_class WHERE relkind IN ('r', 'p', 'm') AND oid >= 16384 LOOP
    EXECUTE format('ANALYZE %s', relation);
  END LOOP;
END $$
"""


def load(run: Run, world: World, seed: Path | None = None, role: str | None = None) -> Missing:
    """Load the world into the migrated database, and make it a template, for which the workers wait.

    First, ``role`` runs the SQL file ``seed``. Each run does this, so that rows with ``DEFAULT now()`` are new even if
    the database comes from the cache. Raises SqlError if the file fails.
    Returns the rows that cannot be loaded; the manifest in the comment has them too.
    """
    with run.connect(run.template) as connection:
        if seed:
            from rolecall.database.scripts import run_script  # also imports what reads dumps

            run_script(run, connection, Script(seed, transaction=Transaction.OWN), role)
        missing = loading.load(connection, world)
        connection.execute(ANALYZE)
        if missing:
            run.comment_on(run.template, **manifest_of(run).without(missing).as_comment())
        connection.execute(sql.SQL("ALTER DATABASE {} WITH is_template true").format(sql.Identifier(run.template)))
    return missing
