"""Fixtures of the attacks: a database for each module, sessions in it, and what its catalog and rows offer.

``RELIABILITY_LONG=1`` tries more values, names and personas (``make torture``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import islice

import pytest

from rolecall import Session, World
from rolecall.catalog.manifest import Manifest
from rolecall.database.scratch import Scratch
from tests.attacks.schema import (
    ROUTINES,
    Call,
    Routine,
    Template,
    may_insert,
    plain_call,
    result_in,
    trigger_statements,
)
from tests.attacks.sessions import Authenticator, SignIn, connect


@pytest.fixture(scope="session")
def thorough() -> bool:
    """Whether this is the long form."""
    return bool(os.environ.get("RELIABILITY_LONG"))


@pytest.fixture(scope="module")
def database(module_scratch: Callable[..., Scratch]) -> Scratch:
    """A database with all phases and the rows of the world, for one module."""
    scratch = module_scratch(migrated=True)
    # With it a transaction can query which functions ran in it.
    scratch.connection.execute(f"ALTER DATABASE \"{scratch.name}\" SET track_functions = 'all'".encode())
    return scratch


@pytest.fixture(scope="module")
def sign_in(database: Scratch, world: World) -> SignIn:
    """A function that signs a persona in on a new connection: ``with sign_in(name) as session``.

    Everything in the block is undone at its end.
    """

    @contextmanager
    def sign_in(name: str) -> Iterator[Session]:
        with connect(database.run, database.name) as connection:
            session = Session(connection, world.personas)
            with connection.transaction(force_rollback=True), session.acting_as(name):
                yield session

    return sign_in


@pytest.fixture(scope="module")
def authenticator(database: Scratch) -> Authenticator:
    """A function that connects as ``authenticator`` for a block, before any persona signs in."""
    return lambda: connect(database.run, database.name)


@pytest.fixture(scope="module")
def routines(database: Scratch, manifest: Manifest) -> dict[str, Routine]:
    """Every function of the migrations, by its qualified name."""
    names = {item.full_name for item in manifest.of_kind("function", "trigger function")}
    functions = {row[0]: Routine(*row) for row in database.connection.execute(ROUTINES.encode())}
    return {name: routine for name, routine in functions.items() if name in names}


@pytest.fixture(scope="module")
def calls(database: Scratch, routines: dict[str, Routine], world: World, sign_in: SignIn) -> dict[str, list[Call]]:
    """For each function the calls that run it: one of each persona that may call it. For the function of a trigger:
    the first statement that fires the trigger."""
    calls: dict[str, list[Call]] = {name: [] for name in routines}
    for persona in world.personas:
        with sign_in(persona) as session:
            for name, routine in routines.items():
                if routine.tables:
                    statements = trigger_statements(database, routine) if not calls[name] else iter(())
                else:
                    statements = iter([plain_call(routine, world, persona)])
                for statement in statements:
                    if (sqlstate := result_in(session, name, statement)) is not None:
                        calls[name].append(Call(persona, statement, sqlstate))
                        break
    return calls


@pytest.fixture(scope="module")
def visible(database: Scratch, manifest: Manifest) -> Callable[[Session], set[str]]:
    """A function that returns the values that a session may read in the tables with row-level security.

    Only values of eight characters or more count. A view must show no other values.
    """
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
def hidden(database: Scratch, sign_in: SignIn, visible: Callable[[Session], set[str]]) -> Callable[[str], set[str]]:
    """A function that returns what a persona may not read: the values that are not part of a value that it may read."""
    everything = visible(Session(database.connection, {}))

    @cache
    def hidden(persona: str) -> set[str]:
        with sign_in(persona) as session:
            readable = "\n".join(visible(session))
        values = {value for value in everything if value not in readable}
        assert values or persona == "service"
        return values

    return hidden


@pytest.fixture(scope="module")
def fingerprint(database: Scratch) -> Callable[[], dict[str, str]]:
    """A function that returns a digest of all rows of each table."""
    names = "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema$)'"
    tables = [name for (name,) in database.connection.execute(names.encode())]
    query = " UNION ALL ".join(
        f"SELECT '{table}', md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {table} AS t" for table in tables
    )
    return lambda: dict(database.connection.execute(query.encode()).fetchall())


@pytest.fixture(scope="module")
def templates(database: Scratch, manifest: Manifest, world: World) -> dict[str, list[Template]]:
    """For each persona: an existing row of each table that the persona may insert again after a DELETE of it."""
    connection, templates = database.connection, dict[str, list[Template]]()
    rows = {
        table: [row for (row,) in connection.execute(f"SELECT to_jsonb(t) FROM {table} AS t".encode())]
        for table in manifest.tables
    }
    for persona in world.personas:
        session = Session(connection, world.personas)
        for table in manifest.tables:
            candidates = (Template(table, row) for row in rows[table])
            insertable = (each for each in candidates if may_insert(session, persona, each))
            templates.setdefault(persona, []).extend(islice(insertable, 1))
    return templates


@pytest.fixture(scope="module")
def times(database: Scratch, manifest: Manifest) -> dict[str, str]:
    """For each table that the migrations create or put policies on: a column of type timestamptz."""
    query = """
        SELECT attname FROM pg_attribute
        WHERE attrelid = %s::regclass AND atttypid = 'timestamptz'::regtype AND NOT attisdropped ORDER BY attnum LIMIT 1
    """
    return {table: database.connection.execute(query, [table]).fetchall()[0][0] for table in manifest.tables}
