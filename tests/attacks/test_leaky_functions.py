"""A function of the caller's own in WHERE, as cheap as can be, is shown no row that the caller may not see.

PostgreSQL asks the policies first, unless a function is LEAKPROOF; a view does so only where it is a security barrier,
or reads as its caller from tables that have policies of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
import pytest

from rolecall import Session, World
from rolecall.catalog.manifest import Manifest
from rolecall.database.scratch import Scratch

Visit = Callable[[str], AbstractContextManager[Session]]

PEEK = """
CREATE FUNCTION pg_temp.peek(what text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
  RAISE INFO 'peek: %', what;
  RETURN true;
END
$$;
CREATE FUNCTION pg_temp.peek(what text, other text) RETURNS boolean LANGUAGE sql COST 0.0000001
  RETURN pg_temp.peek(what);
CREATE OPERATOR pg_temp.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.peek);
CREATE AGGREGATE pg_temp.peek_all(text) (SFUNC = pg_temp.peek_on, STYPE = boolean, INITCOND = 'true')
"""
STEP = """
CREATE FUNCTION pg_temp.peek_on(was boolean, what text) RETURNS boolean LANGUAGE sql COST 0.0000001
  RETURN pg_temp.peek(what)
"""

READS = [
    "SELECT * FROM {t} AS t WHERE pg_temp.peek(t::text)",
    "SELECT * FROM {t} AS t WHERE pg_temp.peek(t::text) AND false IS DISTINCT FROM pg_temp.peek(t::text)",
    "SELECT * FROM {t} AS t WHERE t::text OPERATOR(pg_temp.===) 'x'",
    "SELECT * FROM {t} AS t WHERE t::text::integer = 1",  # its error says what it was given
    "SELECT * FROM {t} AS t WHERE (t::text)::inet IS NULL",
    "SELECT 1 FROM (SELECT 1) AS one LEFT JOIN {t} AS t ON pg_temp.peek(t::text)",
    "SELECT 1 FROM {t} AS t JOIN {t} AS u ON pg_temp.peek(t::text || u::text)",
    "SELECT count(*) FILTER (WHERE pg_temp.peek(t::text)) FROM {t} AS t",
    "SELECT pg_temp.peek_all(t::text) FROM {t} AS t",
    "SELECT 1 FROM {t} AS t ORDER BY pg_temp.peek(t::text)",
    "SELECT 1 FROM {t} AS t GROUP BY pg_temp.peek(t::text)",
    "SELECT rank() OVER (ORDER BY pg_temp.peek(t::text)) FROM {t} AS t",
    "SELECT 1 WHERE EXISTS (SELECT FROM {t} AS t WHERE pg_temp.peek(t::text))",
    "SELECT CASE WHEN pg_temp.peek(t::text) THEN 1 END FROM {t} AS t",
    "WITH w AS NOT MATERIALIZED (SELECT * FROM {t}) SELECT * FROM w WHERE pg_temp.peek(w::text)",
    "SELECT 1 FROM {t} AS t CROSS JOIN LATERAL (SELECT pg_temp.peek(t::text)) AS x",
    "SELECT * FROM {t} AS t WHERE pg_temp.peek(t::text) FOR SHARE",
    "SELECT * FROM {t} AS t TABLESAMPLE SYSTEM (100) WHERE pg_temp.peek(t::text)",
    "EXPLAIN (ANALYZE) SELECT * FROM {t} AS t WHERE pg_temp.peek(t::text)",
    "COPY (SELECT * FROM {t} AS t WHERE pg_temp.peek(t::text)) TO STDOUT",
]
WRITES = [
    "UPDATE {t} AS t SET id = id WHERE pg_temp.peek(t::text)",
    "UPDATE {t} AS t SET created_at = now() WHERE pg_temp.peek('blind')",
    "UPDATE {t} AS t SET id = id FROM {t} AS u WHERE pg_temp.peek(t::text || u::text)",
    "DELETE FROM {t} AS t WHERE pg_temp.peek(t::text)",
    "DELETE FROM {t} AS t USING {t} AS u WHERE pg_temp.peek(t::text || u::text)",
    "MERGE INTO {t} AS t USING (SELECT 1) AS s ON pg_temp.peek(t::text) WHEN MATCHED THEN DO NOTHING",
    "MERGE INTO {t} AS t USING (SELECT 1) AS s ON true WHEN MATCHED AND pg_temp.peek(t::text) THEN DELETE",
    "INSERT INTO {t} AS t SELECT * FROM {t} ON CONFLICT (id) DO UPDATE SET id = t.id WHERE pg_temp.peek(t::text)",
    "INSERT INTO {t} AS t SELECT * FROM {t} ON CONFLICT DO NOTHING RETURNING pg_temp.peek(t::text)",
]


@contextmanager
def peeking(visit: Visit, persona: str) -> Iterator[tuple[Session, list[str]]]:
    """A persona's session with the functions, and all that they are shown, which errors add to."""
    heard: list[str] = []
    with visit(persona) as session:
        session.connection.add_notice_handler(lambda notice: heard.append(notice.message_primary or ""))
        first, last = PEEK.split("CREATE AGGREGATE")
        session.connection.execute(f"{first}; {STEP}; CREATE AGGREGATE {last}".encode())
        yield session, heard


def attempt(session: Session, statement: str, heard: list[str]) -> None:
    """Run a statement, which is undone; an error's words are heard too."""
    try:
        with session.connection.transaction(force_rollback=True), session.connection.cursor() as cursor:
            if statement.startswith("COPY"):
                with cursor.copy(statement.encode()) as copy:
                    heard.extend(bytes(block).decode() for block in copy)
            else:
                cursor.execute(statement.encode())
    except psycopg.Error as error:
        if error.sqlstate in BROKEN:
            raise
        heard += [str(error), error.diag.message_detail or ""]


FEW = ("customer", "staff", "owner", "no_subject", "anon")
BROKEN = {"42601", "42883", "42703", "42P01", "XX000"}  # the attempt itself is no SQL, or finds no such thing


@pytest.fixture(scope="module")
def targets(database: Scratch, manifest: Manifest) -> dict[str, list[str]]:
    """Every view that the migrations made, and every table that they made or gave a policy, with its columns."""
    names = manifest.tables + [item.full_name for item in manifest.of_kind("view")]
    query = "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
    return {name: [column for (column,) in database.connection.execute(query, [name])] for name in names}


def statements(manifest: Manifest, targets: dict[str, list[str]]) -> Iterator[str]:
    """Every way to have a function of one's own see the rows of a table or view."""
    for target, columns in targets.items():
        for text in READS:
            if "TABLESAMPLE" not in text or target in manifest.tables:
                yield text.format(t=target)
        yield from (f'SELECT FROM {target} WHERE pg_temp.peek("{column}"::text)' for column in columns)
        if target in manifest.tables:
            yield from (text.format(t=target) for text in WRITES)


def test_no_row_that_one_may_not_see_reaches_it(
    manifest: Manifest,
    world: World,
    visit: Visit,
    targets: dict[str, list[str]],
    hidden: Callable[[str], set[str]],
    thorough: bool,
) -> None:
    every = list(statements(manifest, targets))
    leaked = set()
    for persona in world.personas if thorough else FEW:
        secrets = hidden(persona)
        with peeking(visit, persona) as (session, heard):
            for statement in every:
                heard.clear()
                attempt(session, statement, heard)
                text = "\n".join(heard)
                leaked |= {(persona, statement, each) for each in secrets if each in text and each not in statement}
    assert leaked == set()


def test_it_is_shown_what_one_may_see(visit: Visit, world: World, targets: dict[str, list[str]]) -> None:
    """Or the test above would prove nothing."""
    shown = set()
    for persona in world.personas:
        with peeking(visit, persona) as (session, heard):
            for target in targets:
                heard.clear()
                attempt(session, READS[0].format(t=target), heard)
                shown |= {target} if any(each.startswith("peek: ") for each in heard) else set()
    assert shown == set(targets)


# Where PostgreSQL shows it all the same (F101): the condition of INSERT … ON CONFLICT DO UPDATE … WHERE is asked about
# the row that is in the way, and the policies after it. It takes SQL of one's own, and the other row's id.
SHOWN_IN_CONFLICT = {
    "scheduling.appointment_services",
    "communication.message_threads",
    "engagement.customer_favorites",
    "catalog.service_booking_rules",
    "storage.objects",
}


def test_a_row_in_the_way_is_shown_to_the_condition_of_an_upsert(
    database: Scratch,
    world: World,
    visit: Visit,
    templates: dict[str, list[Any]],
    hidden: Callable[[str], set[str]],
) -> None:
    shown = set()
    for persona in world.personas:
        with peeking(visit, persona) as (session, heard):
            for template in templates[persona]:
                for (key,) in database.connection.execute(f"SELECT id::text FROM {template.table}".encode()):
                    heard.clear()
                    conflict = "ON CONFLICT (id) DO UPDATE SET id = EXCLUDED.id WHERE pg_temp.peek(t.id::text)"
                    attempt(session, template.insert({"id": key}, conflict), heard)
                    shown |= {template.table} if key in hidden(persona) and f"peek: {key}" in heard else set()
    assert shown == SHOWN_IN_CONFLICT


def test_a_view_that_reads_as_its_owner_is_seen_through(
    database: Scratch, visit: Visit, hidden: Callable[[str], set[str]]
) -> None:
    """What a view leaves out by its own WHERE, and no policy, the function is shown: so the attack would notice."""
    view = "engagement.seen_through"
    database.connection.execute(
        f"CREATE VIEW {view} AS SELECT * FROM engagement.customer_favorites WHERE customer_id = auth.uid();"
        f"GRANT SELECT ON {view} TO authenticated"
    )
    try:
        with peeking(visit, "customer") as (session, heard):
            attempt(session, READS[0].format(t=view), heard)
    finally:
        database.connection.execute(f"DROP VIEW {view}")
    assert any(secret in each for secret in hidden("customer") for each in heard)


def test_nobody_makes_a_function_leakproof(visit: Visit, world: World) -> None:
    for persona in world.personas:
        with (
            visit(persona) as session,
            session.raises("42501", message="only superuser can define a leakproof function"),
        ):
            session.execute("CREATE FUNCTION pg_temp.peek() RETURNS int LANGUAGE sql LEAKPROOF RETURN 1")
