"""A function never uses types, tables, functions or operators of the caller instead of the intended ones.

Every client can create objects in ``pg_temp``, and PostgreSQL looks up types and tables there first, unless
``search_path`` names it last. Code of these objects would run with the rights of the owner of a SECURITY DEFINER
function: a spy reports as which role it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import postgast
import psycopg
import pytest
from psycopg import Connection

from rolecall import Session, World
from rolecall.database.scratch import Scratch
from tests.attacks.schema import Call, Routine
from tests.attacks.sessions import Authenticator

STRING, IDENTIFIER = (postgast.pg_query_pb2.Token.Value(name) for name in ("SCONST", "IDENT"))

SPY = """
CREATE FUNCTION pg_temp.spy(what text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  RAISE INFO 'spy: % runs as %', what, current_user;
  RETURN true;
END
$$
"""


class Shadow(NamedTuple):
    """A name, and the statements that create an object of that name in ``pg_temp``."""

    name: str
    statements: list[str]


# ------------------------------------------------------------------ names, and objects that shadow them

# Every object that a name can mean: the name, and what else a shadow of it needs.
MEANINGS = {
    "type": "SELECT typname, typname FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace "
    "AND typtype IN ('b', 'r') AND typelem = 0",
    "table": """
        SELECT relname, nspname || '.' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE relkind IN ('r', 'v', 'm', 'p') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
    """,
    "function": """
        SELECT proname, '(' || array_to_string(proargtypes::regtype[], ', ') || ') RETURNS ' ||
          CASE WHEN proretset THEN 'SETOF ' ELSE '' END || prorettype::regtype
        FROM pg_proc p JOIN pg_type r ON r.oid = prorettype
        WHERE prokind IN ('f', 'a', 'w') AND (r.typtype <> 'p' OR prorettype = 'void'::regtype) AND NOT EXISTS (
          SELECT FROM unnest(proargtypes) AS a (oid) JOIN pg_type t USING (oid) WHERE t.typtype = 'p')
    """,
    "operator": """
        SELECT oprname, array_to_string(ARRAY['LEFTARG = ' || NULLIF(oprleft, 0)::regtype,
          'RIGHTARG = ' || oprright::regtype, NULLIF(oprleft, 0)::regtype::text, oprright::regtype::text], '|')
        FROM pg_operator o JOIN pg_type l ON l.oid = oprleft JOIN pg_type r ON r.oid = oprright
        WHERE l.typtype = 'b' AND r.typtype = 'b'
    """,
}


def shadow(kind: str, name: str, meaning: str, number: int) -> list[str]:
    """The statements that create an object in ``pg_temp``. Each object calls the spy when it is used."""
    spy = f"pg_temp.spy('{kind} {name}')"
    body = f"LANGUAGE plpgsql AS $$ BEGIN PERFORM {spy}; RETURN{{}}; END $$"
    if kind == "type":
        return [f'CREATE DOMAIN pg_temp."{name}" AS pg_catalog."{meaning}" CHECK ({spy} AND (VALUE IS NULL OR true))']
    if kind == "table":  # a view that also accepts writes
        return [f'CREATE TEMPORARY VIEW "{name}" AS SELECT * FROM {meaning} WHERE {spy} WITH LOCAL CHECK OPTION']
    if kind == "function":
        returns = "" if "RETURNS void" in meaning or "SETOF" in meaning else " NULL"
        return [f'CREATE FUNCTION pg_temp."{name}"{meaning} ' + body.format(returns)]
    *sides, left, right = meaning.split("|")
    return [
        f"CREATE FUNCTION pg_temp.operator_{number}({left}, {right}) RETURNS boolean {body.format(' true')}",
        f"CREATE OPERATOR pg_temp.{name} ({', '.join(sides)}, FUNCTION = pg_temp.operator_{number})",
    ]


def names_in(text: str) -> set[str]:
    """Every identifier and operator in an SQL text, by PostgreSQL's scanner. String literals count too: the body of a
    function is one, and others may be SQL."""
    names: set[str] = set()
    data = text.encode()
    for token in postgast.scan(text).tokens:
        word = data[token.start : token.end].decode()
        if token.token == STRING:
            inner = word.split("$", 2)[2].rsplit("$", 2)[0] if word.startswith("$") else word.strip("'")
            try:
                names |= names_in(inner)
            except postgast.PgQueryError:  # no SQL: the scanner fails at a quote without an end
                continue
        elif token.token == IDENTIFIER or token.keyword_kind:
            names.add(word.strip('"') if word.startswith('"') else word.lower())
        elif not word.strip("+-*/<>=~!@#%^&|`?"):
            names.add(word)
    return names


@pytest.fixture(scope="module")
def meanings(database: Scratch) -> list[tuple[str, str, str]]:
    """Every object that a name can mean: its kind, the name, and what else a shadow of it needs."""
    with database.connection.transaction():
        database.connection.execute("SET LOCAL search_path = ''")
        return [(kind, *row) for kind, query in MEANINGS.items() for row in database.connection.execute(query.encode())]


@pytest.fixture(scope="module")
def shadows(
    database: Scratch, routines: dict[str, Routine], meanings: list[tuple[str, str, str]]
) -> dict[str, list[Shadow]]:
    """For each function: shadows of all names in its body, and in the bodies of the functions that it calls."""
    query = """
        SELECT proname, pg_get_functiondef(p.oid)
        FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
        WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND prokind = 'f'
    """
    called = {name: names_in(text) for name, text in database.connection.execute(query.encode())}
    shadows: dict[str, list[Shadow]] = {}
    for number, (kind, name, meaning) in enumerate(meanings):
        shadows.setdefault(name, []).append(Shadow(name, shadow(kind, name, meaning, number)))
    return {
        name: [each for word in sorted(closure(names_in(routine.definition), called)) for each in shadows.get(word, [])]
        for name, routine in routines.items()
    }


def closure(names: set[str], called: dict[str, set[str]]) -> set[str]:
    """The names, and all names in the bodies of the functions that they may call."""
    while more := {inner for name in names & called.keys() for inner in called[name]} - names:
        names = names | more
    return names


# ------------------------------------------------------------------ the attack

Attack = Callable[[Call, list[Shadow]], list[str]]


@pytest.fixture(scope="module")
def attack(authenticator: Authenticator, world: World) -> Attack:
    """A function that runs a call in a new session with shadows, and returns what went wrong: roles as which the spy
    ran besides the caller's, and another SQLSTATE than without shadows."""

    def attack(call: Call, shadows: list[Shadow]) -> list[str]:
        messages: list[str] = []
        with authenticator() as connection:
            connection.add_notice_handler(lambda notice: messages.append(notice.message_primary or ""))
            session = Session(connection, world.personas)
            with connection.transaction(force_rollback=True), session.acting_as(call.persona):
                connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
                connection.execute(f"{SPY}; {'; '.join(line for each in shadows for line in each.statements)}".encode())
                connection.execute("SET LOCAL search_path = pg_temp, pg_catalog")
                error_text = ""
                try:
                    with connection.transaction():
                        connection.execute(call.statement.encode())
                except psycopg.Error as error:
                    error_text = f"{error.sqlstate} {error}"
            own = world.personas[call.persona].role
        failures = {each for each in messages if each.startswith("spy: ") and not each.endswith(f" runs as {own}")}
        failures |= {f"{call.sqlstate or 'success'} becomes {error_text}"} if error_text[:5] != call.sqlstate else set()
        return sorted(failures)

    return attack


def combinations(shadows: list[Shadow]) -> Iterator[list[Shadow]]:
    """All shadows together, and those of each name alone."""
    yield shadows
    for name in sorted({each.name for each in shadows}):
        yield [each for each in shadows if each.name == name]


def test_every_function_runs_for_a_persona(calls: dict[str, list[Call]]) -> None:
    """A function that does not run is not attacked. PLAIN needs a value for the types of its arguments."""
    assert [name for name, all_calls in calls.items() if not all_calls] == []


def test_no_object_of_the_caller_runs_as_the_owner(
    calls: dict[str, list[Call]],
    shadows: dict[str, list[Shadow]],
    attack: Attack,
    thorough: bool,
) -> None:
    """Shadows of each name alone, and of all together: for one persona that may call, in the long form for all."""
    failures = [
        f"{name} as {call.persona}: {text}"
        for name, all_calls in calls.items()
        for call in (all_calls if thorough else all_calls[:1])
        for combination in combinations(shadows[name])
        for text in attack(call, combination)
    ]
    assert sorted(set(failures)) == []


def test_the_spy_notices_an_empty_search_path(
    database: Scratch,
    routines: dict[str, Routine],
    calls: dict[str, list[Call]],
    shadows: dict[str, list[Shadow]],
    attack: Attack,
) -> None:
    """auth.uid() casts to uuid and jsonb. The attack must find that in its callers with an empty search_path."""
    callers = [name for name, routine in routines.items() if routine.definer and "auth.uid()" in routine.definition]
    assert callers
    for name in callers:
        with with_search_path(database.connection, routines[name], "''"):
            texts = attack(calls[name][0], shadows[name])
        assert any("spy: type uuid runs as" in each for each in texts), name
        assert any("spy: type jsonb runs as" in each for each in texts), name


@contextmanager
def with_search_path(connection: Connection[Any], routine: Routine, path: str) -> Iterator[None]:
    """Give a function another search_path for the block."""
    (signature,) = connection.execute("SELECT %s::regproc::regprocedure::text", [routine.name]).fetchone() or ("",)
    connection.execute(f"ALTER FUNCTION {signature} SET search_path = {path}".encode())
    try:
        yield
    finally:
        connection.execute(f"ALTER FUNCTION {signature} SET {'; '.join(routine.config)}".encode())


CARELESS = """
CREATE FUNCTION audit.careless() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  PERFORM 'infinity'::date;
  PERFORM * FROM profiles;
  PERFORM pg_temp.now();
  PERFORM 1 OPERATOR(pg_temp.=) 1;
END
$$
"""


def test_the_spy_notices_every_kind_of_shadow(
    database: Scratch,
    calls: dict[str, list[Call]],
    meanings: list[tuple[str, str, str]],
    attack: Attack,
) -> None:
    """PostgreSQL finds types and tables in pg_temp; functions and operators only by a qualified name."""
    names = {"type": "date", "table": "profiles", "function": "now", "operator": "="}
    shadows = [
        Shadow(name, shadow(kind, name, meaning, number))
        for number, (kind, name, meaning) in enumerate(meanings)
        if names[kind] == name
    ]
    call = next(iter(calls.values()))[0]._replace(statement="SELECT audit.careless()", sqlstate="")
    database.connection.execute(CARELESS)
    try:
        texts = attack(call, shadows)
    finally:
        database.connection.execute("DROP FUNCTION audit.careless()")
    assert {each.split()[1] for each in texts} == set(names), texts
