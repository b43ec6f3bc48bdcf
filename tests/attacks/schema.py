"""What the attacks read from the catalog: the functions of the migrations, calls of them, and rows to insert."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg

from rolecall import Session, World
from rolecall.database.scratch import Scratch
from tests.attacks.sessions import literal

NIL = "00000000-0000-0000-0000-000000000000"


class Call(NamedTuple):
    """A statement of a persona that runs a function, itself or by a trigger, and its SQLSTATE ("" if it works)."""

    persona: str
    statement: str
    sqlstate: str


class Routine(NamedTuple):
    """A function of the migrations. ``types`` are those of its arguments, ``tables`` those of its triggers."""

    name: str
    arguments: list[str]
    types: list[str]
    definer: bool
    volatile: bool
    config: list[str]
    language: str
    definition: str
    tables: list[str]

    def __str__(self) -> str:
        return self.name


class Template(NamedTuple):
    """An existing row that a persona may insert again after a DELETE of it."""

    table: str
    row: dict[str, Any]

    def insert(self, changes: dict[str, Any], more: str = "") -> str:
        """The statement that inserts the row with some columns changed, and ``more`` at its end."""
        row = literal(json.dumps(self.row | changes))
        return f"INSERT INTO {self.table} AS t SELECT * FROM jsonb_populate_record(NULL::{self.table}, {row}) {more}"


ROUTINES = """
SELECT
  n.nspname || '.' || p.proname,
  COALESCE(p.proargnames[1:p.pronargs], '{}'),
  ARRAY(SELECT format_type(t.oid, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS a (oid, place)
        JOIN pg_type t ON t.oid = a.oid ORDER BY place),
  p.prosecdef, p.provolatile = 'v', COALESCE(p.proconfig, '{}'), l.lanname,
  pg_get_functiondef(p.oid),
  ARRAY(SELECT tn.nspname || '.' || c.relname FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
        JOIN pg_namespace tn ON tn.oid = c.relnamespace WHERE g.tgfoid = p.oid)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND p.prokind = 'f'
ORDER BY 1
"""

# A value for each type of an argument, NULL for any other type. "{me}" is the id of the caller.
PLAIN = {
    "uuid": "{me}",
    "uuid[]": "{{{me}}}",
    "text": "x",
    "character varying": "x",
    "integer": "1",
    "date": "2025-01-06",
    "jsonb": "{{}}",
}


def plain_call(routine: Routine, world: World, persona: str) -> str:
    """A call of a function by a persona, with the values of PLAIN."""
    me = world.personas[persona].claims.get("sub", NIL)
    values = [literal(PLAIN[kind].format(me=me) if kind in PLAIN else None) for kind in routine.types]
    return f"SELECT * FROM {routine.name}({', '.join(values)})"


# The columns that the triggers of a table name in their definitions; all columns if they name none.
NAMED_BY_TRIGGERS = """
WITH columns AS (
  SELECT attname, EXISTS (SELECT FROM pg_trigger WHERE tgrelid = attrelid AND NOT tgisinternal
                          AND pg_get_triggerdef(oid) ~ ('\\m' || attname || '\\M')) AS is_named
  FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
)
SELECT attname FROM columns WHERE is_named OR NOT EXISTS (SELECT FROM columns WHERE is_named)
"""


def trigger_statements(database: Scratch, routine: Routine) -> Iterator[str]:
    """Statements that may fire the triggers of a function: a DELETE of each row, and UPDATEs that set each value of a
    column in each row."""
    for table in routine.tables:
        rows = [row for (row,) in database.connection.execute(f"SELECT ctid::text FROM {table}".encode())]
        yield from (f"DELETE FROM {table} WHERE ctid = '{row}'" for row in rows)
        columns = database.connection.execute(NAMED_BY_TRIGGERS, [table]).fetchall()
        for (column,) in columns:
            values = database.connection.execute(f'SELECT DISTINCT "{column}"::text FROM {table}'.encode()).fetchall()
            for row in rows:
                yield from (
                    f"UPDATE {table} SET \"{column}\" = {literal(value)} WHERE ctid = '{row}'" for (value,) in values
                )


def result_in(session: Session, function: str, statement: str) -> str | None:
    """Run a statement, and undo it; returns the SQLSTATE of an error in the function, "" if the function ran without
    an error, None if it did not run."""
    calls = "SELECT sum(calls) FROM pg_stat_xact_user_functions WHERE schemaname || '.' || funcname = %s"
    before = session.value(calls, [function])
    try:
        with session.connection.transaction(force_rollback=True):
            session.execute(statement)
    except psycopg.Error as error:
        return error.sqlstate if f"function {function}(" in (error.diag.context or "") else None
    return "" if session.value(calls, [function]) != before else None


def may_insert(session: Session, persona: str, template: Template) -> bool:
    """Whether a persona may insert a row again, after the superuser has deleted it."""
    try:
        with session.connection.transaction(force_rollback=True):
            session.execute("SET LOCAL storage.allow_delete_query = 'true'")
            session.execute(f"DELETE FROM {template.table} WHERE id::text = %s", [template.row["id"]])
            with session.acting_as(persona):
                session.execute(template.insert({}))
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True
