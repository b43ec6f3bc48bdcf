"""DROP EXTENSION of a stand-in: its objects go, and what depends on them only with CASCADE, as with the extension."""

from __future__ import annotations

from secrets import token_hex
from typing import Any

from psycopg import Connection, sql

from rolecall.dump.stand_ins import StandIn

# ALTER statements that give an object to the role of the drop. An index, a row type and an owned sequence follow.
OBJECTS = """
WITH made (schema, name) AS (SELECT split_part(made, '.', 1), split_part(made, '.', 2) FROM unnest(%s::text[]) AS made)
SELECT 'TABLE', c.oid::regclass::text FROM pg_class AS c
  JOIN made ON made.schema = c.relnamespace::regnamespace::text AND made.name = c.relname WHERE c.relkind IN ('r', 'v')
UNION ALL
SELECT 'FUNCTION', p.oid::regprocedure::text FROM pg_proc AS p
  JOIN made ON made.schema = p.pronamespace::regnamespace::text AND made.name = p.proname
UNION ALL
SELECT 'TYPE', t.oid::regtype::text FROM pg_type AS t
  JOIN made ON made.schema = t.typnamespace::regnamespace::text AND made.name = t.typname
WHERE t.typtype <> 'c'
UNION ALL
SELECT 'OPERATOR', o.oid::regoperator::text FROM pg_operator AS o JOIN pg_proc AS p ON p.oid = o.oprcode
  JOIN made ON made.schema = p.pronamespace::regnamespace::text AND made.name = p.proname
"""
CASTS = """
SELECT format('DROP CAST (%%s AS %%s)', castsource::regtype, casttarget::regtype) FROM pg_cast AS c, pg_type AS t
WHERE t.oid IN (castsource, casttarget) AND t.typnamespace::regnamespace || '.' || t.typname = ANY (%s)
"""
EMPTY = """
SELECT quote_ident(nspname) FROM pg_namespace AS n
WHERE nspname = ANY (%s) AND nspname NOT IN ('public', 'extensions')
  AND NOT EXISTS (SELECT FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid = n.oid)
"""


def drop(connection: Connection[Any], stand_in: StandIn, schema: str, *, cascade: bool) -> None:
    """Drop the objects of a stand-in, and its schemas that are then empty. ``schema`` is that of a relocatable one.

    Raises psycopg's error (2BP01) if other objects depend on them, without ``cascade``. ``connection`` is a
    superuser's, in a transaction.
    """
    made = sorted(stand_in.makes_in(schema))
    role = sql.Identifier(f"rolecall_dropper_{token_hex(4)}")
    # DROP OWNED takes objects of all kinds at once, so that they do not have to be in order.
    _run(connection, "CREATE ROLE {} NOLOGIN", role)
    for (cast,) in connection.execute(CASTS, [made]).fetchall():
        connection.execute(cast.encode())
    for kind, name in connection.execute(OBJECTS, [made]).fetchall():
        _run(connection, f"ALTER {kind} {name} OWNER TO {{}}", role)
    _run(connection, "DROP OWNED BY {} " + ("CASCADE" if cascade else "RESTRICT"), role)
    _run(connection, "DROP ROLE {}", role)
    for (empty,) in connection.execute(EMPTY, [[name.split(".")[0] for name in made]]).fetchall():
        connection.execute(f"DROP SCHEMA {empty}".encode())


def _run(connection: Connection[Any], query: Any, role: sql.Identifier) -> None:
    connection.execute(sql.SQL(query).format(role))
