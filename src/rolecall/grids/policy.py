"""One policy alone: the rows that a persona would see if a predicate were the table's only policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import Connection, sql

from rolecall.access.persona import Method, Persona
from rolecall.access.session import set_for_transaction

DROP_ALL = """
DO $rolecall$
DECLARE
  policy name;
BEGIN
  FOR policy IN SELECT polname FROM pg_catalog.pg_policy WHERE polrelid = {table}::regclass LOOP
    EXECUTE format('DROP POLICY %I ON %s', policy, {table}::regclass);
  END LOOP;
END
$rolecall$
"""


class PolicyProbe:
    """Tries predicates as the only policy of one table ("schema.name"); everything is rolled back.

    ``connection`` is a superuser's. Every predicate is tried as the ``USING`` of a SELECT policy, also a WITH CHECK:
    it is then evaluated for the existing rows.
    """

    def __init__(self, connection: Connection[Any], table: str) -> None:
        self.connection = connection
        self.table = sql.Identifier(*table.split(".", 1))

    def rows(
        self,
        predicate: str,
        persona: Persona,
        method: Method = "GET",
        *,
        before: Sequence[str] = (),
        columns: Sequence[str] = (),
        where: str = "true",
    ) -> list[tuple[Any, ...]]:
        """The columns of the rows that ``where`` selects and the predicate shows to the persona.

        The statements in ``before`` run first, as the superuser. Raises psycopg.Error if a statement fails.
        """
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        query = sql.SQL("SELECT {} FROM {} WHERE {}").format(names, self.table, sql.SQL(where))
        with self.connection.transaction(force_rollback=True):
            return self._query(query, persona, method, [*before, *self.only(predicate)])

    def admitted(
        self,
        predicate: str,
        personas: Iterable[tuple[Persona, Sequence[str]]],
        rows: Mapping[str, str],
    ) -> dict[str, list[str]]:
        """The names of the rows that the predicate shows to each persona. If its query fails, it sees none.

        Each persona comes with the statements that run first, as the superuser. ``rows`` are the conditions that select
        one row each, by name. The policy is made once for all.
        """
        names = list(rows)
        conditions = [sql.SQL("({})").format(sql.SQL(rows[name])) for name in names]
        whens = [sql.SQL("WHEN {} THEN {}").format(each, place) for place, each in enumerate(conditions)]
        query = sql.SQL("SELECT DISTINCT CASE {} END FROM {} WHERE {} ORDER BY 1").format(
            sql.SQL(" ").join(whens), self.table, sql.SQL(" OR ").join(conditions)
        )
        seen: dict[str, list[str]] = {}
        with self.connection.transaction(force_rollback=True):
            for statement in self.only(predicate):
                self.connection.execute(statement.encode())
            for persona, before in personas:
                try:
                    with self.connection.transaction(force_rollback=True):
                        found = self._query(query, persona, "GET", before)
                        seen[persona.name] = [names[place] for (place,) in found]
                except psycopg.Error:
                    if self.connection.closed:
                        raise
                    seen[persona.name] = []
        return seen

    def _query(
        self, query: sql.Composed, persona: Persona, method: Method, before: Sequence[str]
    ) -> list[tuple[Any, ...]]:
        for statement in before:
            self.connection.execute(statement.encode())
        set_for_transaction(self.connection, persona.settings(method))
        return self.connection.execute(query).fetchall()

    def only(self, predicate: str) -> list[str]:
        """The statements that make a predicate the table's only policy, and grant SELECT to everyone."""
        drop_all = sql.SQL(DROP_ALL).format(table=sql.Literal(self.table.as_string()))
        create = sql.SQL("CREATE POLICY alone ON {} FOR SELECT USING ({})").format(self.table, sql.SQL(predicate))
        grant = sql.SQL("GRANT SELECT ON {} TO PUBLIC").format(self.table)
        return [statement.as_string() for statement in (drop_all, create, grant)]
