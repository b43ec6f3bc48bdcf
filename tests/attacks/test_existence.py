"""No error, and no missing error, shows a persona that a hidden row exists.

Each unique index and foreign key of the tables, and each argument of a function that is an id, gets the key of a hidden
row and a key of no row: different outcomes show that the row exists. LISTED has the cases that cannot be avoided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import psycopg
import pytest

from rolecall import Session, World
from rolecall.catalog.manifest import Manifest
from rolecall.database.scratch import Scratch
from tests.attacks.schema import Routine, Template
from tests.attacks.sessions import REFUSED, SignIn, literal

# The cases that stay (F100): their commands, and the reason. An id is a random uuid of 122 bits, and cannot be guessed.
# A client that has one learns only that its row still exists.
INSERT, EVERY = ("insert", "insert or nothing"), ("insert", "insert or nothing", "update")
KEY = "a primary key is unique over all rows, also hidden ones"
WRITER = "the writer sets this column, as in the plan (F86): the id of any profile is valid"
LISTED = {
    "catalog.service_booking_rules: service_booking_rules_pkey": (EVERY, KEY),
    "communication.message_threads: message_threads_pkey": (EVERY, KEY),
    "engagement.customer_favorites: customer_favorites_pkey": (EVERY, KEY),
    "scheduling.appointment_services: appointment_services_pkey": (EVERY, KEY),
    "storage.objects: objects_pkey": (EVERY, KEY),
    "communication.message_threads: message_threads_recipient_id_fkey": (INSERT, "the recipient must exist"),
    "communication.message_threads: message_threads_appointment_id_fkey": (EVERY, "any appointment is valid (F87)"),
    "engagement.customer_favorites: customer_favorites_created_by_id_fkey": (EVERY, WRITER),
    "engagement.customer_favorites: customer_favorites_updated_by_id_fkey": (EVERY, WRITER),
    "scheduling.appointment_services: appointment_services_created_by_id_fkey": (EVERY, WRITER),
    "scheduling.appointment_services: appointment_services_updated_by_id_fkey": (EVERY, WRITER),
    "communication.send_notification: p_recipient_id, identity.profiles": (("call",), "the recipient must exist (F22)"),
}
EXPECTED = {f"{command} {what}" for what, (commands, _) in LISTED.items() for command in commands}

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
    """A unique index with all columns of its expressions and its predicate, or a foreign key."""

    table: str
    name: str
    columns: list[str]
    references: str


@pytest.fixture(scope="module")
def keys(database: Scratch, manifest: Manifest) -> list[Key]:
    """Every unique index and foreign key of the tables that the migrations create or put policies on."""
    return [Key(*row) for row in database.connection.execute(KEYS, {"tables": manifest.tables})]


@pytest.fixture(scope="module")
def hidden_rows(database: Scratch, world: World, sign_in: SignIn) -> Callable[[str, str], list[dict[str, Any]]]:
    """A function that returns the rows of a table that a persona does not see."""

    def hidden_rows(persona: str, table: str) -> list[dict[str, Any]]:
        everything = f"SELECT to_jsonb(t) FROM {table} AS t ORDER BY t::text"
        role = world.personas[persona].role
        reads = (
            "SELECT has_schema_privilege(%s, split_part(%s, '.', 1), 'USAGE'), has_table_privilege(%s, %s, 'SELECT')"
        )
        may = database.connection.execute(reads.encode(), [role, table, role, table]).fetchone()
        visible = []
        if may == (True, True):
            with sign_in(persona) as session:
                visible = [row["id"] for (row,) in session.rows(everything)]
        return [row for (row,) in database.connection.execute(everything.encode()) if row["id"] not in visible]

    return hidden_rows


def outcome(session: Session, statement: str, *, answer: bool = False) -> str:
    """Run a statement, and undo it; returns its SQLSTATE, or the number of its rows, or with ``answer`` the rows."""
    try:
        with session.connection.transaction(force_rollback=True):
            cursor = session.execute(statement)
            return str(cursor.fetchall() if answer else f"{cursor.rowcount} rows")
    except psycopg.Error as error:
        return str(error.sqlstate)


def outcome_without(session: Session, key: Key, row: dict[str, Any], template: Template, statement: str) -> str:
    """The outcome of a statement after a DELETE of the hidden row, and of the rows that block the DELETE. If the DELETE
    would delete the template too (ON DELETE CASCADE), it is undone first: more than the hidden row would differ."""
    assert session.persona
    connection, table, key_id = session.connection, key.references or key.table, literal(row["id"])
    own_row = f"SELECT count(*) FROM {template.table} WHERE id::text = {literal(template.row['id'])}"
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL storage.allow_delete_query = 'true'")
        before = connection.execute(own_row.encode()).fetchone()
        with connection.transaction():
            for child, column in connection.execute(BLOCKING, [table]).fetchall():
                connection.execute(f"DELETE FROM {child} WHERE {column}::text = {key_id}".encode())
            connection.execute(f"DELETE FROM {table} WHERE id::text = {key_id}".encode())
            if connection.execute(own_row.encode()).fetchone() != before:
                raise psycopg.Rollback
        connection.execute(f"SET LOCAL ROLE {session.persona.role}".encode())
        return outcome(session, statement)


# The foreign keys to a table that block a DELETE in it.
BLOCKING = """
SELECT conrelid::regclass::text, quote_ident(attname)
FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
WHERE contype = 'f' AND confrelid = %s::regclass AND confdeltype IN ('a', 'r')
"""


def unused_key(columns: dict[str, Any]) -> dict[str, Any]:
    """The columns of a key with values that no row has: new ids, new texts; other values are unchanged."""
    return {column: new_value(value) for column, value in columns.items()}


def new_value(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return str(uuid4()) if is_uuid(value) else f"{value} {uuid4()}"


def is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def inserts(template: Template, changes: dict[str, Any]) -> dict[str, str]:
    """Statements that insert a row with these values, by the name of the command."""
    changes = {"id": str(uuid4())} | changes
    return {
        "insert": template.insert(changes),
        "insert or nothing": template.insert(changes, "ON CONFLICT DO NOTHING"),
    }


def updates(template: Template, changes: dict[str, Any]) -> dict[str, str]:
    """A statement that sets these values in the persona's own row."""
    columns = ", ".join(f'"{column}" = r."{column}"' for column in changes)
    row = template.insert(changes).split("SELECT * FROM ")[1]
    key = template.row["id"]
    return {"update": f"UPDATE {template.table} AS t SET {columns} FROM {row} AS r WHERE t.id::text = '{key}'"}


def differences_of_key(
    session: Session,
    key: Key,
    template: Template,
    hidden: list[dict[str, Any]],
    commands: Callable[[Template, dict[str, Any]], dict[str, str]],
) -> Iterator[tuple[str, set[str]]]:
    """The commands that write a key, if a hidden row's and a key of no row have different outcomes; the outcomes."""
    for row in (row for row in hidden if row["id"] not in template.row.values()):  # the persona knows the others
        columns = dict.fromkeys(key.columns, row["id"]) if key.references else {each: row[each] for each in key.columns}
        statements, without_row = commands(template, columns), commands(template, unused_key(columns))
        for command, statement in statements.items():
            outcomes = {outcome(session, statement), outcome(session, without_row[command])}
            if REFUSED in outcomes:  # a policy may allow this persona to write one of the two keys alone
                outcomes = {outcome(session, statement), outcome_without(session, key, row, template, statement)}
            if len(outcomes) > 1:
                yield f"{command} {key.table}: {key.name}", outcomes


def differences_of_function(
    session: Session, routine: Routine, hidden: dict[str, list[dict[str, Any]]]
) -> Iterator[tuple[str, set[str]]]:
    """The arguments that are ids, if ids of hidden rows and an id of no row have different outcomes; the outcomes."""
    plain = {"uuid": f"'{uuid4()}'", "text": "'x'", "character varying": "'x'", "date": "'2025-01-06'"}
    values = [plain.get(kind, "NULL") for kind in routine.types]
    for place, kind in enumerate(routine.types):
        if kind not in ("uuid", "uuid[]"):
            continue
        for table, rows in hidden.items():
            outcomes = set()
            for key in [*(row["id"] for row in rows if is_uuid(row["id"])), str(uuid4())]:
                value = f"ARRAY['{key}']::uuid[]" if kind == "uuid[]" else f"'{key}'"
                arguments = ", ".join([*values[:place], value, *values[place + 1 :]])
                outcomes.add(
                    outcome(session, f"SELECT * FROM {routine.name}({arguments})", answer=not routine.volatile)
                )
            if len(outcomes) > 1:
                yield f"call {routine.name}: {routine.arguments[place]}, {table}", outcomes


@contextmanager
def acting(session: Session, persona: str, without: Template | None = None) -> Iterator[None]:
    """Sign a persona in for the block, and undo everything; the row of ``without`` is deleted before."""
    with session.connection.transaction(force_rollback=True):
        if without:
            session.execute("SET LOCAL storage.allow_delete_query = 'true'")
            session.execute(f"DELETE FROM {without.table} WHERE id::text = %s", [without.row["id"]])
        with session.acting_as(persona):
            yield


def test_only_the_listed_cases_show_that_a_row_exists(
    database: Scratch,
    keys: list[Key],
    routines: dict[str, Routine],
    world: World,
    templates: dict[str, list[Template]],
    hidden_rows: Callable[[str, str], list[dict[str, Any]]],
    thorough: bool,
) -> None:
    differences: dict[str, set[str]] = {}
    session = Session(database.connection, world.personas)
    tables = {key.references or key.table for key in keys}
    for persona in world.personas:
        hidden = {table: hidden_rows(persona, table)[: None if thorough else 3] for table in tables}
        for template in templates[persona]:
            for key in (key for key in keys if key.table == template.table):
                rows = hidden[key.references or key.table]
                with acting(session, persona, without=template):
                    differences |= dict(differences_of_key(session, key, template, rows, inserts))
                with acting(session, persona):
                    differences |= dict(differences_of_key(session, key, template, rows, updates))
        with acting(session, persona):
            for routine in routines.values():
                differences |= {} if routine.tables else dict(differences_of_function(session, routine, hidden))
    assert {what: outcomes for what, outcomes in differences.items() if what not in EXPECTED} == {}
    assert set(differences) == EXPECTED
