"""A function of the caller in a query gets no row that the caller may not see, also with the lowest COST.

PostgreSQL evaluates the policies before a function that is not LEAKPROOF. A view does so only if it is a security
barrier, or if it reads tables with policies as its caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from rolecall import World
from rolecall.catalog.manifest import Manifest
from rolecall.database.scratch import Scratch
from tests.attacks.schema import Template
from tests.attacks.sessions import BROKEN, FEW, SignIn

Peek = Callable[[str], list[str]]  # see peeking

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
    "SELECT * FROM {t} AS t WHERE t::text::integer = 1",  # the error quotes the row
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
def peeking(sign_in: SignIn, persona: str) -> Iterator[Peek]:
    """Sign a persona in, and create the functions.

    Yields a function that runs a statement, undoes it, and returns all texts that the caller gets: what the functions
    are called with, the rows of a COPY, the error.
    """
    texts: list[str] = []
    with sign_in(persona) as session:
        connection = session.connection
        connection.add_notice_handler(lambda notice: texts.append(notice.message_primary or ""))
        functions, aggregate = PEEK.split("CREATE AGGREGATE")
        connection.execute(f"{functions}; {STEP}; CREATE AGGREGATE {aggregate}".encode())

        def peek(statement: str) -> list[str]:
            texts.clear()
            try:
                with connection.transaction(force_rollback=True), connection.cursor() as cursor:
                    if statement.startswith("COPY"):
                        with cursor.copy(statement.encode()) as copy:
                            texts.extend(bytes(block).decode() for block in copy)
                    else:
                        cursor.execute(statement.encode())
            except psycopg.Error as error:
                if error.sqlstate in BROKEN:
                    raise
                texts.extend([str(error), error.diag.message_detail or ""])
            return list(texts)

        yield peek


@pytest.fixture(scope="module")
def targets(database: Scratch, manifest: Manifest) -> dict[str, list[str]]:
    """The columns of each view of the migrations, and of each table that they create or put policies on."""
    names = manifest.tables + [item.full_name for item in manifest.of_kind("view")]
    query = "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
    return {name: [column for (column,) in database.connection.execute(query, [name])] for name in names}


def statements(manifest: Manifest, targets: dict[str, list[str]]) -> Iterator[str]:
    """Every statement that calls a function of the caller for the rows of a table or view."""
    for target, columns in targets.items():
        for text in READS:
            if "TABLESAMPLE" not in text or target in manifest.tables:
                yield text.format(t=target)
        yield from (f'SELECT FROM {target} WHERE pg_temp.peek("{column}"::text)' for column in columns)
        if target in manifest.tables:
            yield from (text.format(t=target) for text in WRITES)


def test_hidden_rows_do_not_reach_the_function(
    manifest: Manifest,
    world: World,
    sign_in: SignIn,
    targets: dict[str, list[str]],
    hidden: Callable[[str], set[str]],
    thorough: bool,
) -> None:
    attacks = list(statements(manifest, targets))
    leaked = set()
    for persona in world.personas if thorough else FEW:
        if not (secrets := hidden(persona)):
            continue
        with peeking(sign_in, persona) as peek:
            for statement in attacks:
                text = "\n".join(peek(statement))
                leaked |= {(persona, statement, each) for each in secrets if each in text and each not in statement}
    assert leaked == set()


def was_called(texts: list[str]) -> bool:
    return any(text.startswith("peek: ") for text in texts)


def test_visible_rows_reach_the_function(sign_in: SignIn, world: World, targets: dict[str, list[str]]) -> None:
    """Without this, the test above would also pass if the functions were never called."""
    visible = set()
    for persona in world.personas:
        with peeking(sign_in, persona) as peek:
            visible |= {target for target in targets if was_called(peek(READS[0].format(t=target)))}
    assert visible == set(targets)


# The exceptions (F101): PostgreSQL evaluates the WHERE of INSERT … ON CONFLICT DO UPDATE on the conflicting row before
# the policies. An attacker needs a connection that takes SQL, and the id of the row.
LEAKS_IN_CONFLICT = {
    "scheduling.appointment_services",
    "communication.message_threads",
    "engagement.customer_favorites",
    "catalog.service_booking_rules",
    "storage.objects",
}


def test_the_condition_of_an_upsert_sees_the_conflicting_row(
    database: Scratch,
    world: World,
    sign_in: SignIn,
    templates: dict[str, list[Template]],
    hidden: Callable[[str], set[str]],
) -> None:
    conflict = "ON CONFLICT (id) DO UPDATE SET id = EXCLUDED.id WHERE pg_temp.peek(t.id::text)"
    tables = set()
    for persona in world.personas:
        with peeking(sign_in, persona) as peek:
            for template in templates[persona]:
                for (key,) in database.connection.execute(f"SELECT id::text FROM {template.table}".encode()):
                    texts = peek(template.insert({"id": key}, conflict))
                    tables |= {template.table} if key in hidden(persona) and f"peek: {key}" in texts else set()
    assert tables == LEAKS_IN_CONFLICT


def test_a_view_that_reads_as_its_owner_leaks(
    database: Scratch, sign_in: SignIn, hidden: Callable[[str], set[str]]
) -> None:
    """A view that filters rows by its own WHERE, without a policy, does not hide them: the attack finds that."""
    view = "engagement.leaky"
    database.connection.execute(
        f"CREATE VIEW {view} AS SELECT * FROM engagement.customer_favorites WHERE customer_id = auth.uid();"
        f"GRANT SELECT ON {view} TO authenticated"
    )
    try:
        with peeking(sign_in, "customer") as peek:
            texts = peek(READS[0].format(t=view))
    finally:
        database.connection.execute(f"DROP VIEW {view}")
    assert any(secret in text for secret in hidden("customer") for text in texts)


def test_no_persona_creates_a_leakproof_function(sign_in: SignIn, world: World) -> None:
    for persona in world.personas:
        with (
            sign_in(persona) as session,
            session.raises("42501", message="only superuser can define a leakproof function"),
        ):
            session.execute("CREATE FUNCTION pg_temp.peek() RETURNS int LANGUAGE sql LEAKPROOF RETURN 1")
