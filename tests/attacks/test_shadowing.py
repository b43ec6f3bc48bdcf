"""A caller's own types, tables, functions and operators never stand in for those that a function means.

Whoever may connect can make objects in ``pg_temp``, and types and tables are looked for there first unless
``search_path`` names it last. What a caller puts there would run with the rights of a SECURITY DEFINER function's
owner: a spy tells who it runs as.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import postgast
import psycopg
import pytest
from psycopg import Connection

from rolecall import Session, World
from rolecall.database.scratch import Scratch

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
    """A name that a body has, and the statements that put something of that name in its way."""

    name: str
    statements: list[str]


# ------------------------------------------------------------------ names, and what can shadow them

MEANT = {
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


def shadow(kind: str, name: str, meant: str, number: int) -> list[str]:
    """The statements that make something of a name in pg_temp; each calls the spy when it is used."""
    spy = f"pg_temp.spy('{kind} {name}')"
    body = f"LANGUAGE plpgsql AS $$ BEGIN PERFORM {spy}; RETURN{{}}; END $$"
    if kind == "type":
        return [f'CREATE DOMAIN pg_temp."{name}" AS pg_catalog."{meant}" CHECK ({spy} AND (VALUE IS NULL OR true))']
    if kind == "table":  # a view that can be written, too
        return [f'CREATE TEMPORARY VIEW "{name}" AS SELECT * FROM {meant} WHERE {spy} WITH LOCAL CHECK OPTION']
    if kind == "function":
        returns = "" if "RETURNS void" in meant or "SETOF" in meant else " NULL"
        return [f'CREATE FUNCTION pg_temp."{name}"{meant} ' + body.format(returns)]
    *sides, left, right = meant.split("|")
    return [
        f"CREATE FUNCTION pg_temp.operator_{number}({left}, {right}) RETURNS boolean {body.format(' true')}",
        f"CREATE OPERATOR pg_temp.{name} ({', '.join(sides)}, FUNCTION = pg_temp.operator_{number})",
    ]


def names_in(text: str) -> set[str]:
    """Every identifier and operator in an SQL text, as PostgreSQL's own scanner sees them: those in the body and in
    other string literals too, which may be SQL."""
    found: set[str] = set()
    data = text.encode()
    for token in postgast.scan(text).tokens:
        word = data[token.start : token.end].decode()
        if token.token == STRING:
            inner = word.split("$", 2)[2].rsplit("$", 2)[0] if word.startswith("$") else word.strip("'")
            try:
                found |= names_in(inner)
            except postgast.PgQueryError:  # no SQL: there is no token where a quote is left open
                continue
        elif token.token == IDENTIFIER or token.keyword_kind:
            found.add(word.strip('"') if word.startswith('"') else word.lower())
        elif not word.strip("+-*/<>=~!@#%^&|`?"):
            found.add(word)
    return found


@pytest.fixture(scope="module")
def meant(database: Scratch) -> list[tuple[str, str, str]]:
    """All that a name can mean: its kind, the name, and what tells one of them from another."""
    with database.connection.transaction():
        database.connection.execute("SET LOCAL search_path = ''")
        return [(kind, *row) for kind, query in MEANT.items() for row in database.connection.execute(query.encode())]


@pytest.fixture(scope="module")
def shadows(database: Scratch, routines: dict[str, Any], meant: list[tuple[str, str, str]]) -> dict[str, list[Shadow]]:
    """By function: each name in its body, and in the bodies of the functions that it calls, with what may shadow it."""
    query = """
        SELECT proname, pg_get_functiondef(p.oid)
        FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
        WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND prokind = 'f'
    """
    called = {name: names_in(text) for name, text in database.connection.execute(query.encode())}
    made: dict[str, list[Shadow]] = {}
    for number, (kind, name, what) in enumerate(meant):
        made.setdefault(name, []).append(Shadow(name, shadow(kind, name, what, number)))
    return {
        name: [each for word in sorted(closure(names_in(routine.definition), called)) for each in made.get(word, [])]
        for name, routine in routines.items()
    }


def closure(names: set[str], called: dict[str, set[str]]) -> set[str]:
    """Names, and those in the bodies of the functions that they may call."""
    while more := {inner for name in names & called.keys() for inner in called[name]} - names:
        names = names | more
    return names


# ------------------------------------------------------------------ the attack


@pytest.fixture(scope="module")
def attack(
    dial: Callable[[], AbstractContextManager[Connection[Any]]], world: World
) -> Callable[[Any, list[Shadow]], list[str]]:
    """A function that makes a call in a session of its own, with shadows in its way, and gives what was wrong."""

    def attack(call: Any, shadows: list[Shadow]) -> list[str]:
        heard: list[str] = []
        with dial() as connection:
            connection.add_notice_handler(lambda notice: heard.append(notice.message_primary or ""))
            session = Session(connection, world.personas)
            with connection.transaction(force_rollback=True), session.acting_as(call.persona):
                connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
                connection.execute(f"{SPY}; {'; '.join(line for each in shadows for line in each.statements)}".encode())
                connection.execute("SET LOCAL search_path = pg_temp, pg_catalog")
                came = ""
                try:
                    with connection.transaction():
                        connection.execute(call.statement.encode())
                except psycopg.Error as error:
                    came = f"{error.sqlstate} {error}"
            own = world.personas[call.persona].role
        wrong = {each for each in heard if each.startswith("spy: ") and not each.endswith(f" runs as {own}")}
        wrong |= {f"{call.sqlstate or 'success'} becomes {came}"} if came[:5] != call.sqlstate else set()
        return sorted(wrong)

    return attack


def combinations(shadows: list[Shadow]) -> Iterator[list[Shadow]]:
    """All shadows at once, and those of each name alone."""
    yield shadows
    for name in sorted({each.name for each in shadows}):
        yield [each for each in shadows if each.name == name]


def test_every_function_runs_for_somebody(calls: dict[str, list[Any]]) -> None:
    """What did not run was not attacked: give its arguments' types a value in PLAIN."""
    assert [name for name, there in calls.items() if not there] == []


def test_nothing_of_the_callers_runs_as_the_owner(
    calls: dict[str, list[Any]],
    shadows: dict[str, list[Shadow]],
    attack: Callable[[Any, list[Shadow]], list[str]],
    thorough: bool,
) -> None:
    """Each name alone, and all together: for one persona who may, and for every one in the long form."""
    found = [
        f"{name} as {call.persona}: {wrong}"
        for name, there in calls.items()
        for call in (there if thorough else there[:1])
        for tried in combinations(shadows[name])
        for wrong in attack(call, tried)
    ]
    assert sorted(set(found)) == []


def test_the_spy_sees_what_an_empty_search_path_lets_in(
    database: Scratch,
    routines: dict[str, Any],
    calls: dict[str, list[Any]],
    shadows: dict[str, list[Shadow]],
    attack: Callable[[Any, list[Shadow]], list[str]],
) -> None:
    """Whoever asks auth.uid() casts to uuid and jsonb: an attack that finds nothing here finds nothing anywhere."""
    asks = [name for name, routine in routines.items() if routine.definer and "auth.uid()" in routine.definition]
    assert asks
    for name in asks:
        with altered(database.connection, routines[name], "''"):
            heard = attack(calls[name][0], shadows[name])
        assert any("spy: type uuid runs as" in each for each in heard), name
        assert any("spy: type jsonb runs as" in each for each in heard), name


@contextmanager
def altered(connection: Connection[Any], routine: Any, path: str) -> Iterator[None]:
    """A function with another search_path, for the block."""
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


def test_the_spy_sees_every_kind_of_shadow(
    database: Scratch,
    calls: dict[str, list[Any]],
    meant: list[tuple[str, str, str]],
    attack: Callable[[Any, list[Shadow]], list[str]],
) -> None:
    """Types and tables are found in pg_temp; functions and operators only if they are asked for there."""
    used = {"type": "date", "table": "profiles", "function": "now", "operator": "="}
    made = [
        Shadow(name, shadow(kind, name, what, number))
        for number, (kind, name, what) in enumerate(meant)
        if used[kind] == name
    ]
    call = next(iter(calls.values()))[0]._replace(statement="SELECT audit.careless()", sqlstate="")
    database.connection.execute(CARELESS)
    try:
        heard = attack(call, made)
    finally:
        database.connection.execute("DROP FUNCTION audit.careless()")
    assert {each.split()[1] for each in heard} == set(used), heard
