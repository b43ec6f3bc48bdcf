"""Which personas share a plan of the server: an IMMUTABLE function that reads the session keeps them apart."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import Connection

from rolecall import grid
from rolecall.grids.probe import prepare, probe
from rolecall.worker import Worker


@pytest.fixture
def connection(toy_worker: Worker) -> Connection[Any]:
    return toy_worker.connection


@pytest.mark.parametrize(
    ("body", "shared"),
    [
        ("AS $$ SELECT '1' $$", True),
        ("RETURN upper('1')", True),
        ("AS $$ SELECT shop.constant() $$", True),
        ("AS $$ SELECT 'a person, personal' $$", True),
        ("AS $$ SELECT current_setting('request.jwt.claims') $$", False),
        ("RETURN current_setting('request.jwt.claims')", False),
        ("AS $$ SELECT min(a) FROM unnest(ARRAY['1', '2']) AS a $$", True),
        ("AS $$ SELECT min(body) FROM shop.notes $$", False),
        ("AS $$ SELECT min(body) FROM shop.Notes $$", False),
        ("AS $$ SELECT min(relname) FROM pg_class $$", False),
        ("AS $$ SELECT has_table_privilege('shop.notes', 'SELECT')::text $$", False),
        ("AS $$ SELECT query_to_xml('SELECT * FROM shop.' || 'notes', true, true, '')::text $$", False),
        ("AS $$ SELECT SHOP.PER() $$", False),
        ("RETURN shop.per()", False),
        ("""AS $$ SELECT shop."per son"() $$""", False),
        ("AS $$ SELECT shop.per -- who\n () $$", False),
        ("AS $$ SELECT shop.per /* who */ () $$", False),
        ("SET search_path = shop AS $$ SELECT (ROW('1')::code).per $$", False),
        ("AS $$ SELECT 'a' OPERATOR(shop.%%%) 'b' $$", False),
        # An aggregate is IMMUTABLE in the catalog, whatever its function does.
        ("AS $$ SELECT shop.any_person(a) FROM unnest(ARRAY['1']) AS a $$", False),
        ("AS $$ SELECT min(setting) FROM pg_show_all_settings() $$", False),
        ("AS $$ SELECT min(s) FROM ts_stat('SELECT to_tsvector(body) FROM shop.no' || 'tes') AS s(s) $$", False),
        ("""AS $$ SELECT U&"\\0063urrent_setting"('request.jwt.claims') $$""", False),
    ],
)
def test_plans_are_shared_unless_an_immutable_function_may_read_the_session_or_a_table(
    connection: Connection[Any], body: str, shared: bool
) -> None:
    """The plan would keep the result for the first persona. A function without such a part costs no time."""
    prepare(connection)
    for name, kind in (("constant", "IMMUTABLE"), ("per", "STABLE"), ('"per son"', "STABLE")):
        connection.execute(
            f"CREATE FUNCTION shop.{name}() RETURNS text {kind} LANGUAGE sql AS $$ SELECT '1' $$".encode()
        )
    connection.execute(
        b"""
        CREATE TYPE shop.code AS (value text);
        CREATE FUNCTION shop.per(shop.code) RETURNS text STABLE LANGUAGE sql AS $$ SELECT '1' $$;
        CREATE FUNCTION shop.both(text, text) RETURNS text STABLE LANGUAGE sql AS $$ SELECT '1' $$;
        CREATE OPERATOR shop.%%% (LEFTARG = text, RIGHTARG = text, FUNCTION = shop.both);
        CREATE AGGREGATE shop.any_person(text) (SFUNC = shop.both, STYPE = text)
        """
    )
    may_share = "SELECT pg_temp.rolecall_may_share_plans()"
    assert connection.execute(may_share).fetchone() == (True,)
    connection.execute(f"CREATE FUNCTION shop.f() RETURNS text IMMUTABLE LANGUAGE sql {body}".encode())
    assert connection.execute(may_share).fetchone() == (shared,)


def test_a_check_of_a_domain_that_reads_nothing_keeps_plans_shared(connection: Connection[Any]) -> None:
    prepare(connection)
    connection.execute("CREATE DOMAIN shop.short AS text NOT NULL CHECK (length(VALUE) < 10)")
    assert connection.execute("SELECT pg_temp.rolecall_may_share_plans()").fetchone() == (True,)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("CREATE DOMAIN shop.plan AS text CHECK (shop.per(VALUE))", id="the check of a domain"),
        pytest.param("CREATE CAST (text AS shop.code) WITH FUNCTION shop.code(text)", id="a cast"),
        pytest.param(
            "CREATE FUNCTION shop.any_setting(text) RETURNS text IMMUTABLE LANGUAGE internal AS 'show_config_by_name'",
            id="an internal function",
        ),
        pytest.param(
            "CREATE FUNCTION shop.f(who text DEFAULT current_setting('shop.who')) RETURNS text IMMUTABLE LANGUAGE sql"
            " AS 'SELECT who'",
            id="the default of an argument",
        ),
    ],
)
def test_no_plan_is_shared_where_the_text_of_the_function_does_not_name_what_reads_the_session(
    connection: Connection[Any], change: str
) -> None:
    connection.execute(
        b"""
        CREATE TYPE shop.code AS (value text);
        CREATE FUNCTION shop.per(text) RETURNS boolean STABLE LANGUAGE sql AS $$ SELECT true $$;
        CREATE FUNCTION shop.code(text) RETURNS shop.code STABLE LANGUAGE sql AS $$ SELECT ROW($1)::shop.code $$
        """
    )
    prepare(connection)
    may_share = "SELECT pg_temp.rolecall_may_share_plans()"
    version = "SELECT pg_temp.rolecall_version_of_functions()"
    assert connection.execute(may_share).fetchone() == (True,)
    before = connection.execute(version).fetchone()
    connection.execute(change.encode())
    assert connection.execute(may_share).fetchone() == (False,)
    assert connection.execute(version).fetchone() != before


@pytest.mark.parametrize(
    "change",
    [
        "ALTER FUNCTION shop.f() IMMUTABLE",
        "CREATE OR REPLACE FUNCTION shop.g() RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT current_user::text $$",
        "CREATE TABLE shop.later ()",
        "ALTER TABLE shop.notes RENAME TO later",
    ],
)
def test_what_is_known_of_sharing_plans_holds_for_one_state_of_the_functions(
    connection: Connection[Any], change: str
) -> None:
    """The answer is stored when the probe is created."""
    version = "SELECT pg_temp.rolecall_version_of_functions()"
    known = f"SELECT pg_temp.rolecall_known_to_share_plans(({version}))"
    assert connection.execute(known).fetchone() == (True,)
    connection.execute(
        b"CREATE FUNCTION shop.f() RETURNS text STABLE LANGUAGE sql AS $$ SELECT current_user::text $$;"
        b"CREATE FUNCTION shop.g() RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT '1' $$"
    )
    assert connection.execute(known).fetchone() == (None,)
    before = connection.execute(version).fetchone()
    with connection.transaction(force_rollback=True):
        connection.execute(change.encode())
        assert connection.execute(version).fetchone() != before
    connection.execute(b"ALTER POLICY \"own notes are read\" ON shop.notes USING (author = 'alice')")
    assert connection.execute(version).fetchone() == before


def test_an_immutable_function_that_is_made_after_the_probe_shares_no_plan(toy_worker: Worker) -> None:
    connection = toy_worker.connection
    prepare(connection)
    connection.execute(
        b"CREATE FUNCTION shop.caller() RETURNS text IMMUTABLE LANGUAGE sql"
        b" AS $$ SELECT current_setting('request.jwt.claims')::json ->> 'sub' $$;"
        b'ALTER POLICY "own notes are read" ON shop.notes USING (author = shop.caller())'
    )
    notes = grid(
        "shop.notes",
        """
                       select  insert  update  delete
        alice's note
          alice        yes     yes     yes     yes
          bob          -       !       -       -
        bob's note
          alice        -       !       -       -
          bob          yes     yes     yes     yes
        """,
        update="body = 'changed'",
    )
    checks = [check for cell, check in notes.all_checks(toy_worker.world) if cell.command == "select"]
    assert [outcome.word for outcome in probe(connection, checks)] == ["yes", "-", "-", "yes"]
