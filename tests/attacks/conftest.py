"""What the attacks share: a database of the module's own, strangers who connect to it, and what the catalog offers.

``RELIABILITY_LONG=1`` tries more values, more names and more personas (``make torture``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg import Connection
from psycopg.conninfo import make_conninfo

from rolecall import Session, World
from rolecall.catalog.manifest import Manifest
from rolecall.database.run import Run
from rolecall.database.scratch import Scratch

TIMEOUT = "SET statement_timeout = '5s'; SET lock_timeout = '2s'"

Visit = Callable[[str], AbstractContextManager[Session]]


class Call(NamedTuple):
    """A statement of a persona's by which a function runs, be it by way of a trigger, and the SQLSTATE that comes of
    it ("" where it works)."""

    persona: str
    statement: str
    sqlstate: str


class Routine(NamedTuple):
    """A function that the migrations made. ``types`` are its arguments' types, ``tables`` what it is a trigger of."""

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

# A value of each type that is an argument somewhere; NULL for any other. "{me}" is the one who calls.
PLAIN = {
    "uuid": "{me}",
    "uuid[]": "{{{me}}}",
    "text": "x",
    "character varying": "x",
    "integer": "1",
    "date": "2025-01-06",
    "jsonb": "{{}}",
}


@pytest.fixture(scope="session")
def thorough() -> bool:
    """Whether to take the time for the long form."""
    return bool(os.environ.get("RELIABILITY_LONG"))


@pytest.fixture(scope="module")
def database(module_scratch: Callable[..., Scratch]) -> Scratch:
    """A database with all phases and the world's rows, of the module's own."""
    scratch = module_scratch(migrated=True)
    # So that a transaction can ask which functions ran in it.
    scratch.connection.execute(f"ALTER DATABASE \"{scratch.name}\" SET track_functions = 'all'".encode())
    return scratch


@pytest.fixture(scope="module")
def visit(database: Scratch, world: World) -> Visit:
    """A function that signs a persona in over a connection of its own, as PostgREST does: ``with visit(name)``.
    All that the persona does is undone at the end."""

    @contextmanager
    def visit(name: str) -> Iterator[Session]:
        with connect(database.run, database.name) as connection:
            session = Session(connection, world.personas)
            with connection.transaction(force_rollback=True), session.acting_as(name):
                yield session

    return visit


@pytest.fixture(scope="module")
def dial(database: Scratch) -> Callable[[], AbstractContextManager[Connection[Any]]]:
    """A function that connects as ``authenticator``, who is not signed in yet."""
    return lambda: connect(database.run, database.name)


@contextmanager
def connect(run: Run, name: str) -> Iterator[Connection[Any]]:
    """A connection as ``authenticator``. On a server of somebody's, who has set it a password, the superuser's
    session becomes it."""
    if run.ours:
        conninfo = make_conninfo(run.conninfo, dbname=name, user="authenticator")
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(TIMEOUT)
            yield connection
    else:
        with run.connect(name) as connection:
            is_superuser = connection.info.parameter_status("is_superuser") == "on"
            kind = "SESSION AUTHORIZATION" if is_superuser else "ROLE"
            connection.execute(f"{TIMEOUT}; SET {kind} authenticator".encode())
            yield connection


@pytest.fixture(scope="module")
def routines(database: Scratch, manifest: Manifest) -> dict[str, Routine]:
    """Every function that the migrations made, by its qualified name."""
    made = {item.full_name for item in manifest.of_kind("function", "trigger function")}
    found = {row[0]: Routine(*row) for row in database.connection.execute(ROUTINES.encode())}
    return {name: routine for name, routine in found.items() if name in made}


@pytest.fixture(scope="module")
def calls(database: Scratch, routines: dict[str, Routine], world: World, visit: Visit) -> dict[str, list[Call]]:
    """Calls by which each of the functions runs: one for each persona that may, with plain values; of a trigger's
    function the first statement that fires it."""
    found: dict[str, list[Call]] = {name: [] for name in routines}
    for persona in world.personas:
        with visit(persona) as session:
            for name, routine in routines.items():
                if routine.tables:
                    statements = firing(database, routine) if not found[name] else iter(())
                else:
                    statements = iter([plain_call(routine, world, persona)])
                for statement in statements:
                    if (sqlstate := runs(session, name, statement)) is not None:
                        found[name].append(Call(persona, statement, sqlstate))
                        break
    return found


def plain_call(routine: Routine, world: World, persona: str) -> str:
    """A call of a function with plain values."""
    me = world.personas[persona].claims.get("sub", "00000000-0000-0000-0000-000000000000")
    values = [literal(PLAIN[kind].format(me=me) if kind in PLAIN else None) for kind in routine.types]
    return f"SELECT * FROM {routine.name}({', '.join(values)})"


def literal(value: str | None) -> str:
    """A value as an SQL literal without a type, which takes the type of the argument."""
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


MENTIONED = """
WITH columns AS (
  SELECT attname, EXISTS (SELECT FROM pg_trigger WHERE tgrelid = attrelid AND NOT tgisinternal
                          AND pg_get_triggerdef(oid) ~ ('\\m' || attname || '\\M')) AS mentioned
  FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
)
SELECT attname FROM columns WHERE mentioned OR NOT EXISTS (SELECT FROM columns WHERE mentioned)
"""


def firing(database: Scratch, routine: Routine) -> Iterator[str]:
    """Statements that may fire the triggers of a function: each row deleted, and each value of a column that a trigger
    speaks of, or of any where it speaks of none, put into each other row."""
    for table in routine.tables:
        rows = [row for (row,) in database.connection.execute(f"SELECT ctid::text FROM {table}".encode())]
        yield from (f"DELETE FROM {table} WHERE ctid = '{row}'" for row in rows)
        columns = database.connection.execute(MENTIONED, [table]).fetchall()
        for (column,) in columns:
            values = database.connection.execute(f'SELECT DISTINCT "{column}"::text FROM {table}'.encode()).fetchall()
            for row in rows:
                yield from (
                    f"UPDATE {table} SET \"{column}\" = {literal(value)} WHERE ctid = '{row}'" for (value,) in values
                )


def runs(session: Session, name: str, statement: str) -> str | None:
    """The SQLSTATE of a statement, which is undone, if it has a function run: "" if it runs to its end, else that of
    the function's own error. None if the function did not run."""
    counted = "SELECT sum(calls) FROM pg_stat_xact_user_functions WHERE schemaname || '.' || funcname = %s"
    before = session.value(counted, [name])
    try:
        with session.connection.transaction(force_rollback=True):
            session.execute(statement)
    except psycopg.Error as error:
        return error.sqlstate if f"function {name}(" in (error.diag.context or "") else None
    return "" if session.value(counted, [name]) != before else None


@pytest.fixture(scope="module")
def visible(database: Scratch, manifest: Manifest) -> Callable[[Session], set[str]]:
    """A function that gives what a session's role reads: every value of eight characters or more in the rows that it
    sees of the tables with row-level security. A view must show nothing else."""
    names = "SELECT schemaname || '.' || tablename FROM pg_tables WHERE rowsecurity ORDER BY 1"
    tables = [name for (name,) in database.connection.execute(names.encode())]
    assert set(manifest.tables) <= set(tables)

    def visible(session: Session) -> set[str]:
        readable = database.connection.execute(
            """
            SELECT t FROM unnest(%s::text[]) AS t
            WHERE has_schema_privilege(%s, split_part(t, '.', 1), 'USAGE') AND has_table_privilege(%s, t, 'SELECT')
            """,
            [tables, *[session.value("SELECT current_user::text")] * 2],
        )
        query = "SELECT DISTINCT value FROM {} AS t, jsonb_each_text(to_jsonb(t)) WHERE length(value) >= 8"
        return {value for (name,) in readable for (value,) in session.rows(query.format(name))}

    return visible


@pytest.fixture(scope="module")
def hidden(database: Scratch, visit: Visit, visible: Callable[[Session], set[str]]) -> Callable[[str], set[str]]:
    """A function that gives what a persona may not read: the values that stand in no text which it sees."""
    everything = visible(Session(database.connection, {}))

    @cache
    def hidden(persona: str) -> set[str]:
        with visit(persona) as session:
            seen = "\n".join(visible(session))
        found = {each for each in everything if each not in seen}
        assert found or persona == "service"
        return found

    return hidden


@pytest.fixture(scope="module")
def fingerprint(database: Scratch) -> Callable[[], dict[str, str]]:
    """A function that gives a digest of the rows of every table."""
    names = "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema$)'"
    tables = [name for (name,) in database.connection.execute(names.encode())]
    query = " UNION ALL ".join(
        f"SELECT '{table}', md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {table} AS t" for table in tables
    )
    return lambda: dict(database.connection.execute(query.encode()).fetchall())


class Template(NamedTuple):
    """A row that a persona may insert, once the one that is there is taken out of the way."""

    table: str
    row: dict[str, Any]

    def insert(self, changes: dict[str, Any], more: str = "") -> str:
        """The statement that inserts it with some columns changed."""
        row = quoted_json(self.row | changes)
        return f"INSERT INTO {self.table} AS t SELECT * FROM jsonb_populate_record(NULL::{self.table}, {row}) {more}"


def quoted_json(row: dict[str, Any]) -> str:
    return literal(json.dumps(row))


@pytest.fixture(scope="module")
def templates(database: Scratch, manifest: Manifest, world: World) -> dict[str, list[Template]]:
    """By persona: a row of each table that the persona may insert, taken from those that there are."""
    connection, found = database.connection, dict[str, list[Template]]()
    rows = {
        table: [row for (row,) in connection.execute(f"SELECT to_jsonb(t) FROM {table} AS t".encode())]
        for table in manifest.tables
    }
    for persona in world.personas:
        session = Session(connection, world.personas)
        for table in manifest.tables:
            tried = (Template(table, row) for row in rows[table])
            found.setdefault(persona, []).extend(
                islice((each for each in tried if may_insert(session, persona, each)), 1)
            )
    return found


def may_insert(session: Session, persona: str, template: Template) -> bool:
    """Whether a persona may insert a row that the superuser takes out of the way."""
    try:
        with session.connection.transaction(force_rollback=True):
            session.execute("SET LOCAL storage.allow_delete_query = 'true'")
            session.execute(f"DELETE FROM {template.table} WHERE id::text = %s", [template.row["id"]])
            with session.acting_as(persona):
                session.execute(template.insert({}))
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


@pytest.fixture(scope="module")
def times(database: Scratch, manifest: Manifest) -> dict[str, str]:
    """Of every table that the migrations made or gave a policy, a column that holds a time."""
    query = """
        SELECT attname FROM pg_attribute
        WHERE attrelid = %s::regclass AND atttypid = 'timestamptz'::regtype AND NOT attisdropped ORDER BY attnum LIMIT 1
    """
    return {table: database.connection.execute(query, [table]).fetchall()[0][0] for table in manifest.tables}
