"""Functions that share their name with others: overloads."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from psycopg import Connection

# A CALL also gives the OUT arguments of a procedure. The type of an array is that of its elements with brackets.
OVERLOADS = """
SELECT oid::int8, name, pg_get_function_identity_arguments(oid),
       ARRAY(SELECT coalesce(proargnames[place], '') FROM generate_subscripts(types, 1) AS place
             WHERE coalesce(proargmodes[place], 'i') <> ALL (results) ORDER BY place),
       ARRAY(SELECT coalesce(e.typname || '[]', t.typname) FROM generate_subscripts(types, 1) AS place
             JOIN pg_type AS t ON t.oid = types[place]
             LEFT JOIN pg_type AS e ON e.oid = t.typelem AND t.typcategory = 'A'
             WHERE coalesce(proargmodes[place], 'i') <> ALL (results) ORDER BY place),
       pronargdefaults, provariadic <> 0
FROM (
  SELECT p.*, nspname || '.' || proname AS name, count(*) OVER (PARTITION BY pronamespace, proname) AS number,
         coalesce(proallargtypes, string_to_array(proargtypes::text, ' ')::oid[]) AS types,
         CASE prokind WHEN 'p' THEN '{}' ELSE '{o,t}' END::"char"[] AS results
  FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
) AS p
WHERE number > 1 AND name = ANY (%s) ORDER BY 2, 3
"""
SIGNATURES = "SELECT oid::int8, oid::regprocedure::text FROM pg_proc WHERE oid = ANY (%s)"


class Overload(NamedTuple):
    """One of several functions of a name ("schema.name").

    ``arguments`` is what ``pg_get_function_identity_arguments`` shows, ``signature`` is SQL with the schema.
    ``parameters`` are the names of what a call gives, or empty texts, and ``types`` their types. The last ``defaults``
    of them are optional.
    """

    name: str
    arguments: str
    signature: str
    parameters: Sequence[str]
    types: Sequence[str]
    defaults: int
    variadic: bool

    @property
    def full_name(self) -> str:
        """The name with the arguments."""
        return f"{self.name}({self.arguments})"


def read(connection: Connection[Any], names: Collection[str]) -> list[Overload]:
    """The functions of these names ("schema.name") that are not the only one of their name."""
    found = connection.execute(OVERLOADS.encode(), [sorted(names)]).fetchall()
    with connection.transaction(force_rollback=True):
        connection.execute("SELECT set_config('search_path', '', true)")  # with it, each name has its schema
        signatures = dict(connection.execute(SIGNATURES, [[oid for oid, *_ in found]]).fetchall())
    return [Overload(name, arguments, signatures[oid], *rest) for oid, name, arguments, *rest in found]
