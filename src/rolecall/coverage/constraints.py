"""Which constraints have accepted a value: queried from the tables, inside the test's transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import Connection

from rolecall.catalog.manifest import Manifest
from rolecall.catalog.objects import qualified
from rolecall.coverage.recorder import CoverageRecorder

# For each constraint, a condition that is true once it has accepted a value. NULL does not count.
CONDITIONS = """
WITH restriction AS (
  SELECT conrelid AS relation, conname AS name, conkey AS keys,
         CASE contype WHEN 'c' THEN ' OR ' ELSE ' AND ' END AS joined_by,
         CASE WHEN contype = 'c' THEN pg_get_expr(conbin, conrelid) END AS predicate,
         format('pg_catalog.pg_constraint WHERE oid = %%s', oid) AS present
  FROM pg_catalog.pg_constraint WHERE contype IN ('c', 'f', 'p', 'u', 'x')
  UNION ALL
  SELECT indrelid, relname, '{}', '', pg_get_expr(indpred, indrelid),
         format('pg_catalog.pg_index WHERE indexrelid = %%s', indexrelid)
  FROM pg_catalog.pg_index JOIN pg_catalog.pg_class c ON c.oid = indexrelid WHERE indisunique
  UNION ALL
  SELECT attrelid, attname, ARRAY[attnum], '', NULL,
         format('pg_catalog.pg_attribute WHERE attrelid = %%s AND attnum = %%s AND attnotnull', attrelid, attnum)
  FROM pg_catalog.pg_attribute WHERE attnotnull
)
SELECT n.nspname || '.' || c.relname, name,
       format('EXISTS (SELECT FROM %%s) AND EXISTS (SELECT FROM %%s WHERE %%s AND (%%s))', present, relation::regclass,
              COALESCE('(' || predicate || ')', 'true'),
              COALESCE(string_agg(quote_ident(attname) || ' IS NOT NULL', joined_by), 'true'))
FROM restriction JOIN pg_catalog.pg_class c ON c.oid = relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attribute ON attrelid = relation AND attnum = ANY (keys)
WHERE relation = ANY (%s::regclass[])
GROUP BY relation, n.nspname, c.relname, name, predicate, present, joined_by
"""


class ConstraintProbe:
    """Finds the constraints that have accepted a value: a row exists that they apply to."""

    def __init__(self, connection: Connection[Any], manifest: Manifest) -> None:
        self.connection = connection
        constraints = {(item.owner, item.name) for item in manifest.constraints}
        with self._as_superuser():
            tables = sorted({owner for owner, _ in constraints})
            rows = connection.execute(CONDITIONS, [list(map(qualified, tables))]).fetchall()
        self.conditions = {(table, name): text for table, name, text in rows if (table, name) in constraints}

    def observe(self, recorder: CoverageRecorder) -> None:
        """Record the constraints that have accepted a value since the last call, in the open transaction."""
        known = recorder.facts | recorder.pending
        conditions = {key: text for key, text in self.conditions.items() if ("let through", *key) not in known}
        if not conditions:
            return
        with suppress(psycopg.Error), self._as_superuser():  # the test may have dropped a table or a column
            (row,) = self.connection.execute(f"SELECT {', '.join(conditions.values())}".encode()).fetchall()
            for key in [key for key, accepted in zip(conditions, row, strict=True) if accepted]:
                recorder.add("let through", *key)

    @contextmanager
    def _as_superuser(self) -> Iterator[None]:
        with self.connection.transaction(force_rollback=True):
            self.connection.execute("SELECT set_config('search_path', '', true), set_config('role', 'none', true)")
            yield
