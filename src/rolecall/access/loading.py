"""Load the world into a database. A row that the database refuses is left out; all others are loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import Connection

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


IDENTITIES = """
SELECT n.nspname || '.' || relname, array_agg(attname::text)
FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid JOIN pg_namespace AS n ON n.oid = relnamespace
WHERE attidentity = 'a' AND NOT attisdropped GROUP BY 1
"""


# The sequences of serial and identity columns, which the current role may use and whose columns it may read. A sequence
# may also belong to a column of another type, of which it makes a part.
SEQUENCES = """
SELECT s.oid::regclass::text, c.oid::regclass::text, quote_ident(a.attname),
       q.seqincrement > 0, q.seqmin, q.seqmax
FROM pg_depend AS d
JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
JOIN pg_sequence AS q ON q.seqrelid = s.oid
JOIN pg_class AS c ON c.oid = d.refobjid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON (a.attrelid, a.attnum) = (c.oid, d.refobjsubid)
JOIN pg_type AS t ON t.oid = a.atttypid
WHERE coalesce(nullif(t.typbasetype, 0), t.oid) IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
  AND d.deptype IN ('a', 'i') AND (d.classid, d.refclassid) = ('pg_class'::regclass, 'pg_class'::regclass)
  AND n.nspname || '.' || c.relname = ANY (%s)
  AND has_sequence_privilege(s.oid, 'UPDATE') AND has_column_privilege(c.oid, a.attnum, 'SELECT')
"""
ADVANCE = """
SELECT setval(%s, last) FROM (SELECT {latest}({column}) AS last FROM {table}) AS used, {sequence} AS sequence
WHERE last BETWEEN %s AND %s AND last {beyond} last_value
"""


def identities(connection: Connection[Any]) -> dict[str, list[str]]:
    """The columns of each table that are GENERATED ALWAYS AS IDENTITY."""
    return dict(connection.execute(IDENTITIES).fetchall())


def load(connection: Connection[Any], world: World) -> Missing:
    """Load all rows, as the connection's current role. Returns the rows that cannot be loaded, with the reasons.

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
    advance_sequences(connection, list(world.rows))
    return missing


def advance_sequences(connection: Connection[Any], tables: Sequence[str]) -> None:
    """Let the sequences of tables go on after the rows that have a number, as they would if each had made them.

    Otherwise the server would give a new row the number of another one.
    """
    found = connection.execute(SEQUENCES, [tables]).fetchall()
    for sequence, table, column, ascends, least, most in found:
        latest, beyond = ("max", ">=") if ascends else ("min", "<=")
        query = ADVANCE.format(sequence=sequence, table=table, column=column, latest=latest, beyond=beyond)
        connection.execute(query.encode(), [sequence, least, most])


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
