"""Load the world into a database. A row that the database refuses is left out; all others are loaded."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import Connection, sql

from rolecall.access import sequences
from rolecall.access.world import UNLOADABLE, Row, World, reason
from rolecall.errors import RolecallError

Key = tuple[str, str]  # the table and the name of a row
Missing = dict[Key, str]  # and why it is missing

# The columns of a foreign key, the table that it refers to, and the columns there.
FOREIGN_KEY = """
SELECT ARRAY(SELECT attname::text FROM pg_attribute a, unnest(c.conkey) WITH ORDINALITY AS k (number, place)
             WHERE a.attrelid = c.conrelid AND a.attnum = k.number ORDER BY k.place),
       n.nspname || '.' || t.relname,
       ARRAY(SELECT attname::text FROM pg_attribute a, unnest(c.confkey) WITH ORDINALITY AS k (number, place)
             WHERE a.attrelid = c.confrelid AND a.attnum = k.number ORDER BY k.place)
FROM pg_constraint AS c JOIN pg_class AS t ON t.oid = c.confrelid JOIN pg_namespace AS n ON n.oid = t.relnamespace
WHERE c.contype = 'f' AND c.conname = %s AND c.conrelid = to_regclass(quote_ident(%s) || '.' || quote_ident(%s))
"""

# A materialized view keeps the rows of the time when it was made. The order is that in which the views were made.
REFRESH = """
DO $$
DECLARE
  view regclass;
BEGIN
  FOR view IN SELECT oid FROM pg_class WHERE relkind = 'm' ORDER BY oid LOOP
    BEGIN
      EXECUTE format('REFRESH MATERIALIZED VIEW %s', view);
    EXCEPTION WHEN OTHERS THEN  -- it stays as it is
    END;
  END LOOP;
END $$
"""
IDENTITIES = """
SELECT n.nspname || '.' || relname, array_agg(attname::text)
FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid JOIN pg_namespace AS n ON n.oid = relnamespace
WHERE attidentity = 'a' AND NOT attisdropped GROUP BY 1
"""


def identities(connection: Connection[Any]) -> dict[str, list[str]]:
    """The columns of each table that are GENERATED ALWAYS AS IDENTITY."""
    return dict(connection.execute(IDENTITIES).fetchall())


def load(connection: Connection[Any], world: World) -> Missing:
    """Load all rows, as the connection's current role, and fill the materialized views with them.

    Returns the rows that cannot be loaded, with the reasons.
    Raises RolecallError if a deferred constraint refuses the rows and does not say which table it is about.
    """
    world.identities = identities(connection)
    missing: Missing = {}
    try:
        with connection.transaction():
            world.load(connection)
    except (RolecallError, psycopg.Error):
        if connection.closed:
            raise
        missing = _Loading(connection, world).missing
    connection.execute(sql.SQL("DO {}").format(sql.Literal(sequences.block(world.rows))))
    connection.execute(REFRESH)
    return missing


class _Loading:
    """Loads the rows one by one, each in a savepoint."""

    def __init__(self, connection: Connection[Any], world: World) -> None:
        self.connection, self.world = connection, world
        self.missing: Missing = {}
        with connection.transaction():
            while not self._all_at_once():
                pass

    def _all_at_once(self) -> bool:
        """Load the rows that no earlier attempt has found missing. Returns False if a deferred constraint fails.

        Then the rows of its table are missing in the next attempt: the server does not say which row it is.
        """
        try:
            with self.connection.transaction():
                for table, name, row in self.world:
                    if (table, name) not in self.missing:
                        self._row(table, name, row)
                self.connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except psycopg.Error as error:
            table = f"{error.diag.schema_name}.{error.diag.table_name}"
            suspects = [name for name in self.world.rows.get(table, {}) if (table, name) not in self.missing]
            if not suspects:
                raise RolecallError(f"the world cannot be loaded: {reason(error)}") from error
            text = f"a deferred constraint refuses a row of this table: {_one_line(error)}"
            self.missing |= {(table, name): text for name in suspects}
            return False
        return True

    def _row(self, table: str, name: str, row: Row) -> None:
        try:
            with self.connection.transaction():
                self.world.make(self.connection, table, name)
        except UNLOADABLE as error:
            self.missing[table, name] = self._depends_on(error, row) or _one_line(error)

    def _depends_on(self, error: Exception, row: Row) -> str | None:
        """The missing row that a row refers to; None if the error is another one."""
        if not isinstance(error, psycopg.errors.ForeignKeyViolation):
            return None
        diag = error.diag
        found = self.connection.execute(FOREIGN_KEY, [diag.constraint_name, diag.schema_name, diag.table_name])
        for columns, table, keys in found.fetchall():
            for other, name in self.missing:
                target = self.world.rows[other][name]
                if other == table and [row.get(each) for each in columns] == [target.get(each) for each in keys]:
                    return f"it refers to {name!r} of {table}, which cannot be loaded"
        return None


def _one_line(error: Exception) -> str:
    return " ".join(reason(error).splitlines())
