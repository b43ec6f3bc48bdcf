"""What several tests of the migrations need: the definitions and rows of a database, and other default privileges."""

from __future__ import annotations

import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection, sql

from rolecall.database.scratch import Scratch
from tests.races.arena import Racer

each_regime = pytest.mark.parametrize(
    "regime", ["REVOKE ALL ON {} FROM {}", "GRANT ALL ON {} TO {}"], ids=["strict", "permissive"]
)

DISCARD = "SET LOCAL enorae.discard_data = 'on'"

# Everything that a script could change. For tests in a transaction, whose changes pg_dump cannot see.
DEFINITIONS = r"""
WITH namespace AS (
  SELECT oid FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)'
), relation AS (
  SELECT * FROM pg_class WHERE relnamespace IN (SELECT oid FROM namespace) AND relkind IN ('r', 'v', 'm', 'S')
)
SELECT pg_describe_object('pg_proc'::regclass, oid, 0), concat_ws(E'\n', pg_get_functiondef(oid), proacl, proowner)
FROM pg_proc WHERE pronamespace IN (SELECT oid FROM namespace) AND prokind = 'f'
UNION ALL
SELECT pg_describe_object('pg_class'::regclass, oid, 0), concat_ws(E'\n',
  relkind, relowner, relacl, relrowsecurity, relforcerowsecurity, reloptions,
  CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid) END)
FROM relation
UNION ALL
SELECT pg_describe_object('pg_class'::regclass, attrelid, attnum), concat_ws(' ',
  format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid), attacl)
FROM pg_attribute JOIN relation ON relation.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attnum > 0 AND NOT attisdropped
UNION ALL
SELECT pg_describe_object('pg_constraint'::regclass, c.oid, 0), pg_get_constraintdef(c.oid)
FROM pg_constraint AS c JOIN relation ON relation.oid = conrelid
UNION ALL
SELECT pg_describe_object('pg_class'::regclass, indexrelid, 0), pg_get_indexdef(indexrelid)
FROM pg_index JOIN relation ON relation.oid = indrelid
UNION ALL
SELECT pg_describe_object('pg_trigger'::regclass, t.oid, 0), pg_get_triggerdef(t.oid) || tgenabled::text
FROM pg_trigger AS t JOIN relation ON relation.oid = tgrelid WHERE NOT tgisinternal
UNION ALL
SELECT format('policy %I on %I.%I', policyname, schemaname, tablename),
  concat_ws(' ', permissive, roles, cmd, qual, '/', with_check)
FROM pg_policies
UNION ALL
SELECT pg_describe_object('pg_namespace'::regclass, oid, 0), concat_ws(E'\n',
  nspowner, array(SELECT a::text FROM aclexplode(coalesce(nspacl, acldefault('n', nspowner))) AS a ORDER BY 1))
FROM pg_namespace WHERE nspname !~ '^pg_'
UNION ALL
SELECT 'comment on ' || pg_describe_object(classoid, objoid, objsubid), description
FROM pg_description
WHERE objoid >= 16384
"""


def tables(connection: Connection[Any]) -> list[str]:
    """The qualified names of all tables outside PostgreSQL's own schemas, sorted."""
    names = connection.execute("SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname !~ '^(pg_|inf)'")
    return sorted(name for (name,) in names)


def rows(connection: Connection[Any], names: list[str]) -> dict[str, list[str]]:
    """All rows of the tables, as text and sorted. One query for all of them, because tests ask often."""
    each = sql.SQL("SELECT {}, t::text FROM {} AS t")
    queries = [each.format(sql.Literal(name), sql.Identifier(*name.split("."))) for name in names]
    contents: dict[str, list[str]] = {name: [] for name in names}
    for name, row in connection.execute(sql.SQL(" UNION ALL ").join(queries)) if names else ():
        contents[name].append(row)
    return {name: sorted(found) for name, found in contents.items()}


def everything(connection: Connection[Any]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The definitions of all objects, and all rows of all tables."""
    return dict(connection.execute(DEFINITIONS.encode()).fetchall()), rows(connection, tables(connection))


def step_path(scratch: Scratch, number: str) -> Path:
    """The file of the step with this number, such as 1.2 or 2.1.3."""
    (path,) = (each.path for phase in scratch.phases.values() for each in phase.steps if str(each).split()[0] == number)
    return path


def as_owner(scratch: Scratch, statements: str) -> None:
    """Run statements as the migration role, as the team that has this database would."""
    role = sql.Identifier(scratch.role or "").as_string()
    scratch.connection.execute(f"SET LOCAL ROLE {role}; {statements}; RESET ROLE".encode())


def roll_back_to(scratch: Scratch, number: int) -> None:
    """Roll back the later phases with their rows, and reset the settings of their scripts."""
    scratch.connection.execute(DISCARD)
    for later in range(4, number, -1):
        scratch.rollback(later)
    scratch.connection.execute("SET LOCAL enorae.discard_data = ''; SET LOCAL row_security = on")


def change_defaults(scratch: Scratch, regime: str) -> None:
    """Change the default privileges of the migration role for the roles of the API, as ``each_regime`` says."""
    role = sql.Identifier(scratch.role or "")
    for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):
        change = regime.format(kind, "anon, authenticated, service_role")
        defaults = sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} ").format(role).as_string()
        scratch.connection.execute((defaults + change).encode())


def wait_for_lock(database: Scratch, session: Racer, running: Future[Any]) -> None:
    """Return when a session waits for a lock. AssertionError: what it runs ends without that."""
    query = "SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted"
    while database.connection.execute(query, [session.pid]).fetchone() == (0,):
        assert not running.done(), f"it has not waited for a lock: {running.exception() or 'no error'}"
        time.sleep(0.001)
