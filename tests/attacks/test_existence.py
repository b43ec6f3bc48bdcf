"""Whether an error, or that there is none, tells somebody that a row exists which they may not see.

Each unique key and foreign key of the tables, and each id that a function takes, is tried with the key of a hidden
row and with one that is nowhere: if the two come out differently, that tells. What cannot be helped is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import psycopg
import pytest

from rolecall import Session, World
from rolecall.catalog.manifest import Manifest
from rolecall.database.scratch import Scratch

Visit = Callable[[str], AbstractContextManager[Session]]

# What tells, and why it stays (F100): by what command, and the reason. An id is a random uuid of 122 bits, which nobody
# finds by trying: whoever has one was given it, and all that is learnt is that its row still exists.
INSERT, EVERY = ("insert", "insert or nothing"), ("insert", "insert or nothing", "update")
KEY = "a primary key is unique over all rows, those too that one may not see"
WRITER = "the writer fills these in, as the plan has it (F86): anybody's id does, if there is such a profile"
LISTED = {
    "catalog.service_booking_rules: service_booking_rules_pkey": (EVERY, KEY),
    "communication.message_threads: message_threads_pkey": (EVERY, KEY),
    "engagement.customer_favorites: customer_favorites_pkey": (EVERY, KEY),
    "scheduling.appointment_services: appointment_services_pkey": (EVERY, KEY),
    "storage.objects: objects_pkey": (EVERY, KEY),
    "communication.message_threads: message_threads_recipient_id_fkey": (INSERT, "one writes to somebody who exists"),
    "communication.message_threads: message_threads_appointment_id_fkey": (EVERY, "a thread may name any (F87)"),
    "engagement.customer_favorites: customer_favorites_created_by_id_fkey": (EVERY, WRITER),
    "engagement.customer_favorites: customer_favorites_updated_by_id_fkey": (EVERY, WRITER),
    "scheduling.appointment_services: appointment_services_created_by_id_fkey": (EVERY, WRITER),
    "scheduling.appointment_services: appointment_services_updated_by_id_fkey": (EVERY, WRITER),
    "communication.send_notification: p_recipient_id, identity.profiles": (("call",), "one writes to somebody (F22)"),
}
REMAINS = {f"{way} {what}" for what, (ways, _) in LISTED.items() for way in ways}

REFUSED = "42501"

KEYS = """
SELECT n.nspname || '.' || c.relname, k.relname,
  ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = i.indrelid AND (
          a.attnum = ANY (indkey) OR EXISTS (
            SELECT FROM pg_depend
            WHERE classid = 'pg_class'::regclass AND objid = i.indexrelid AND refobjid = i.indrelid
              AND refobjsubid = a.attnum))), ''
FROM pg_index i JOIN pg_class c ON c.oid = indrelid JOIN pg_namespace n ON n.oid = relnamespace
JOIN pg_class k ON k.oid = indexrelid
WHERE indisunique AND n.nspname || '.' || c.relname = ANY (%(tables)s)
UNION ALL
SELECT n.nspname || '.' || c.relname, conname,
  ARRAY(SELECT a.attname::text FROM unnest(conkey) AS p (number)
        JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = p.number),
  rn.nspname || '.' || r.relname
FROM pg_constraint JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class r ON r.oid = confrelid JOIN pg_namespace rn ON rn.oid = r.relnamespace
WHERE contype = 'f' AND n.nspname || '.' || c.relname = ANY (%(tables)s)
ORDER BY 1, 2
"""


class Key(NamedTuple):
    """A unique index, with all columns that its expressions and its predicate name, or a foreign key."""

    table: str
    name: str
    columns: list[str]
    references: str


@pytest.fixture(scope="module")
def keys(database: Scratch, manifest: Manifest) -> list[Key]:
    """Every unique and foreign key of the tables that the migrations made, or gave a policy."""
    found = database.connection.execute(KEYS, {"tables": manifest.tables})
    return [Key(*row) for row in found]


@pytest.fixture(scope="module")
def unseen(database: Scratch, world: World, visit: Visit) -> Callable[[str, str], list[dict[str, Any]]]:
    """A function that gives the rows of a table that a persona does not see, as the superuser reads them."""

    def unseen(persona: str, table: str) -> list[dict[str, Any]]:
        everything = f"SELECT to_jsonb(t) FROM {table} AS t ORDER BY t::text"
        role = world.personas[persona].role
        reads = (
            "SELECT has_schema_privilege(%s, split_part(%s, '.', 1), 'USAGE'), has_table_privilege(%s, %s, 'SELECT')"
        )
        may = database.connection.execute(reads.encode(), [role, table, role, table]).fetchone()
        seen = []
        if may == (True, True):
            with visit(persona) as session:
                seen = [row["id"] for (row,) in session.rows(everything)]
        return [row for (row,) in database.connection.execute(everything.encode()) if row["id"] not in seen]

    return unseen


def outcome(session: Session, statement: str, *, answer: bool = False) -> str:
    """What somebody learns of a statement, which is undone: the SQLSTATE, or how many rows, or which (``answer``)."""
    try:
        with session.connection.transaction(force_rollback=True):
            cursor = session.execute(statement)
            return str(cursor.fetchall() if answer else f"{cursor.rowcount} rows")
    except psycopg.Error as error:
        return str(error.sqlstate)


def without(session: Session, key: Key, row: dict[str, Any], template: Any, statement: str) -> str:
    """The same, with the hidden row gone, and what keeps it from going: all that differs is that it does not exist.
    Where the template goes with it (ON DELETE CASCADE) more than that would differ, and the row stays."""
    assert session.persona
    connection, table, quoted_id = session.connection, key.references or key.table, quoted(row["id"])
    mine = f"SELECT count(*) FROM {template.table} WHERE id::text = {quoted(template.row['id'])}"
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL storage.allow_delete_query = 'true'")
        before = connection.execute(mine.encode()).fetchone()
        with connection.transaction():
            for child, column in connection.execute(HOLDING, [table]).fetchall():
                connection.execute(f"DELETE FROM {child} WHERE {column}::text = {quoted_id}".encode())
            connection.execute(f"DELETE FROM {table} WHERE id::text = {quoted_id}".encode())
            if connection.execute(mine.encode()).fetchone() != before:
                raise psycopg.Rollback
        connection.execute(f"SET LOCAL ROLE {session.persona.role}".encode())
        return outcome(session, statement)


HOLDING = """
SELECT conrelid::regclass::text, quote_ident(attname)
FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
WHERE contype = 'f' AND confrelid = %s::regclass AND confdeltype IN ('a', 'r')
"""


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def nowhere(columns: dict[str, Any]) -> dict[str, Any]:
    """Values for a key that no row has: other ids, other texts, the rest as they are."""
    return {column: elsewhere(value) for column, value in columns.items()}


def elsewhere(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return str(uuid4()) if is_uuid(value) else f"{value} {uuid4()}"


def is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def inserts(template: Any, changes: dict[str, Any]) -> dict[str, str]:
    """The ways to insert a row with such values, as statements."""
    changes = {"id": str(uuid4())} | changes
    return {
        "insert": template.insert(changes),
        "insert or nothing": template.insert(changes, "ON CONFLICT DO NOTHING"),
    }


def updates(template: Any, changes: dict[str, Any]) -> dict[str, str]:
    """The way to give a row of one's own such values."""
    columns = ", ".join(f'"{column}" = r."{column}"' for column in changes)
    row = template.insert(changes).split("SELECT * FROM ")[1]
    key = template.row["id"]
    return {"update": f"UPDATE {template.table} AS t SET {columns} FROM {row} AS r WHERE t.id::text = '{key}'"}


def tried(
    session: Session,
    key: Key,
    template: Any,
    hidden: list[dict[str, Any]],
    ways: Callable[[Any, dict[str, Any]], dict[str, str]],
) -> Iterator[tuple[str, set[str]]]:
    """Each way to write a key, with what came of hidden rows' keys and of one that is nowhere, if they differ."""
    for row in (row for row in hidden if row["id"] not in template.row.values()):  # those one knows of
        columns = dict.fromkeys(key.columns, row["id"]) if key.references else {each: row[each] for each in key.columns}
        there, not_there = ways(template, columns), ways(template, nowhere(columns))
        for way in there:
            came = {outcome(session, there[way]), outcome(session, not_there[way])}
            if REFUSED in came:  # of the two keys, a policy may let this persona write one and not the other
                came = {outcome(session, there[way]), without(session, key, row, template, there[way])}
            if len(came) > 1:
                yield f"{way} {key.table}: {key.name}", came


def asked(session: Session, routine: Any, hidden: dict[str, list[dict[str, Any]]]) -> Iterator[tuple[str, set[str]]]:
    """Each argument of a function that is an id, with what came of hidden rows' and of one that is nowhere, if they
    differ."""
    plain = {"uuid": f"'{uuid4()}'", "text": "'x'", "character varying": "'x'", "date": "'2025-01-06'"}
    values = [plain.get(kind, "NULL") for kind in routine.types]
    for place, kind in enumerate(routine.types):
        if kind not in ("uuid", "uuid[]"):
            continue
        for table, rows in hidden.items():
            came = set()
            for key in [*(row["id"] for row in rows if is_uuid(row["id"])), str(uuid4())]:
                value = f"ARRAY['{key}']::uuid[]" if kind == "uuid[]" else f"'{key}'"
                arguments = ", ".join([*values[:place], value, *values[place + 1 :]])
                came.add(outcome(session, f"SELECT * FROM {routine.name}({arguments})", answer=not routine.volatile))
            if len(came) > 1:
                yield f"call {routine.name}: {routine.arguments[place]}, {table}", came


@contextmanager
def acting(session: Session, persona: str, without: Any = None) -> Iterator[None]:
    """A persona signed in for the block, all of it undone; with the row gone that a template is made from, if given."""
    with session.connection.transaction(force_rollback=True):
        if without:
            session.execute("SET LOCAL storage.allow_delete_query = 'true'")
            session.execute(f"DELETE FROM {without.table} WHERE id::text = %s", [without.row["id"]])
        with session.acting_as(persona):
            yield


def test_only_what_is_listed_tells(
    database: Scratch,
    keys: list[Key],
    routines: dict[str, Any],
    world: World,
    templates: dict[str, list[Any]],
    unseen: Callable[[str, str], list[dict[str, Any]]],
    thorough: bool,
) -> None:
    told: dict[str, set[str]] = {}
    session = Session(database.connection, world.personas)
    tables = {key.references or key.table for key in keys}
    for persona in world.personas:
        hidden = {table: unseen(persona, table)[: None if thorough else 3] for table in tables}
        for template in templates[persona]:
            for key in (key for key in keys if key.table == template.table):
                rows = hidden[key.references or key.table]
                with acting(session, persona, without=template):
                    told |= dict(tried(session, key, template, rows, inserts))
                with acting(session, persona):
                    told |= dict(tried(session, key, template, rows, updates))
        with acting(session, persona):
            for routine in routines.values():
                told |= dict(asked(session, routine, hidden)) if not routine.tables else {}
    assert {what: came for what, came in told.items() if what not in REMAINS} == {}
    assert set(told) == REMAINS
